package http1

import "strconv"

// Reply is a response of the proxy itself.
type Reply struct {
	Status int        // 200 or more
	Body   string     // text; 204, 205 and 304 have none
	Type   string     // of the body; empty: text/plain
	Head   bool       // the request was HEAD: the body is only announced
	Close  bool       // Connection: close
	Keep   bool       // Connection: keep-alive, for a client of HTTP/1.0 that asked
	Fields []Addition // more fields
}

// AppendReply appends the whole response r. An error is an *Error of reason
// UnsafeEdit, and dst is returned as it was.
func AppendReply(dst []byte, r *Reply) ([]byte, error) {
	if err := checkAdditions(r.Fields); err != nil {
		return dst, err
	}
	if !isFieldValue([]byte(r.Type)) {
		return dst, refuse("content type", []byte(r.Type))
	}
	body := r.Body
	if r.Status == 204 || r.Status == 205 || r.Status == 304 {
		body = ""
	}
	dst = appendStatus(dst, r.Status, StatusText(r.Status))
	if body != "" {
		kind := r.Type
		if kind == "" {
			kind = "text/plain; charset=utf-8"
		}
		dst = append(append(append(dst, "Content-Type: "...), kind...), "\r\n"...)
	}
	for _, a := range r.Fields {
		dst = append(append(append(append(dst, a.Name...), ": "...), a.Value...), "\r\n"...)
	}
	if r.Status != 204 && r.Status != 304 {
		dst = strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case r.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case r.Keep:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if r.Head {
		return dst, nil
	}
	return append(dst, body...), nil
}
