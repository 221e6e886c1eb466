package balance

// leastConnections takes the candidate with the least to do for its weight.
type leastConnections struct{ least }

// Pick implements Policy.
func (l *leastConnections) Pick(c Candidates, _ Need) int {
	return l.pick(c, func(i int, w int64) float64 {
		return float64(c.Load(i)+1) / float64(w) // as it would be with this request
	})
}
