package hive

import "time"

// complainAgain is how long the same failure is not told again.
const complainAgain = 10 * time.Second

// complaint keeps what fails many times a second, for the same reason, from filling a log. The zero value is ready.
type complaint struct {
	said string
	at   time.Time
}

// due says whether a failure is to be told: it is another one than the last, or that was told a while ago.
func (c *complaint) due(err error) bool {
	msg := err.Error()
	if msg == c.said && time.Since(c.at) < complainAgain {
		return false
	}
	c.said, c.at = msg, time.Now()
	return true
}
