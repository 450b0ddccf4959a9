package hive

import "time"

// Moment is a reading of a machine's clock that nobody can set. Between two
// moments of one machine time can be told, whoever took them; between those of
// two machines, or of two starts of one, it cannot.
type Moment struct {
	// Machine names one start of one machine; it is empty where there is no such
	// clock.
	Machine string        `json:"machine,omitempty"`
	Up      time.Duration `json:"up,omitempty"` // since that start
}

// after is how long after another moment this one is; ok is false when they
// cannot be compared.
func (m Moment) after(o Moment) (d time.Duration, ok bool) {
	if m.Machine == "" || m.Machine != o.Machine || m.Up < o.Up {
		return 0, false
	}
	return m.Up - o.Up, true
}
