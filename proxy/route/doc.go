// Package route finds the route that a request takes, and does to a request what its
// route says.
//
// A Table is compiled from the routes of a listener, in their order: the first that
// matches wins. It is an index by host and path, so that ten thousand routes cost
// little more than ten. Routes of the same host and path are told apart by the value
// of a field, a cookie or a parameter as well. What there is no index for is compared
// route by route, at 5 to 50 ns each: regular expressions, and routes of the same host
// and path that differ only in methods or networks.
//
// # What path is matched
//
// Paths are compared as a server is likely to understand them, whatever spelling the
// client chose (RFC 3986, section 6.2.2): what need not be encoded is decoded, once,
// and what must be is encoded, in upper case; empty and dot segments are resolved;
// parameters of a segment, which follow a semicolon, do not count. So a route for
// /admin also gets
//
//	/a/../admin  /%61dmin  //admin  /./admin  /admin;x  /public/..;/admin  /a/%2e%2E/admin
//
// The paths in a config are brought into the same form. What is forwarded is the path
// as it came, unless the route rewrites it.
//
// This is not a proof that a server cannot be talked into another reading, and where
// a route keeps clients out of a place, the server should be told as well. In
// particular:
//
//   - A slash, backslash, semicolon, question mark, number sign or NUL that is encoded
//     (%2F, %5C, %3B, %3F, %23, %00) stays so: it is part of a segment. A server that
//     decodes it before it takes the path apart finds /admin in /public%2F..%2Fadmin,
//     /admin%2F and /admin%3B. A route that matches the regular expression
//     %(00|23|2F|3B|3F|5C), and responds with 400, keeps them away from it.
//   - Case matters, so /ADMIN is not /admin. Before a server for which they are the
//     same, the regular expression (?i)^/admin(/|$) is what to match.
//   - Nothing is decoded twice: in %2561dmin a percent sign follows the slash.
//   - A route that lets only what it matches through is safer than one that keeps out
//     what it matches. So, wherever possible, let the last route be the one that
//     refuses.
//
// Conditions on fields, cookies and parameters hold if any one of several of the same
// name does. A server that looks at another one of them sees another value.
package route
