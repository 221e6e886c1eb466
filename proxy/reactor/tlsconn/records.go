package tlsconn

const header = 5 // bytes: what a record holds, its version, its length

// records follows the bytes that crypto/tls takes from the socket, to know when it keeps
// none of them: asking it costs an allocation, and is done after each message.
type records struct {
	head  [header]byte // of the record that comes
	n     int          // bytes of it that are there
	left  int          // bytes that are yet to come of what follows it
	whole int          // records that may be kept, complete
	part  bool         // a record is there in part
}

// take is told of bytes that crypto/tls takes.
func (r *records) take(b []byte) {
	for len(b) > 0 {
		k := min(r.left, len(b))
		r.left -= k
		if k == 0 {
			k = copy(r.head[r.n:], b)
			r.n += k
			if r.n == header {
				r.left, r.n = int(r.head[3])<<8|int(r.head[4]), 0
			}
		}
		b = b[k:]
		r.part = r.left > 0 || r.n > 0
		if !r.part {
			r.whole++
		}
	}
}

// read is told that crypto/tls has given all that one record held.
func (r *records) read() {
	if r.whole == 1 {
		r.whole = 0
	}
}

// starved is told that crypto/tls has taken all records, and wants more.
func (r *records) starved() { r.whole = 0 }

// none reports whether crypto/tls keeps nothing that it was given.
func (r *records) none() bool { return r.whole == 0 && !r.part }
