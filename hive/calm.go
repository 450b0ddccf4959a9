package hive

import (
	"sync"
	"time"
)

// patience is how long an agreement waits for changes of the members that do not come to an end.
const patience = 15 * time.Second

// calm keeps apart two things that a leader does and that must not meet: changes of the embedded etcd's members, during
// which etcd may not answer for a moment, and the agreement on an epoch whose beginning has been named. Whoever has
// promised to let go does so when that time comes; if etcd cannot take the commit by then, nobody sends anything until
// it can.
//
// The zero value is ready for use.
type calm struct {
	mu       sync.Mutex
	agreeing bool      // an epoch is being agreed upon
	changing bool      // the members are being changed
	settled  time.Time // until then, they have just been
	refused  time.Time // since when an agreement waits; zero when none does
}

// agree begins an agreement, unless the members are being changed or have been until a moment ago.
func (c *calm) agree() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.refused.IsZero() {
		c.refused = now
	}
	if c.changing || now.Before(c.settled) && now.Sub(c.refused) < patience {
		return false
	}
	c.agreeing, c.refused = true, time.Time{}
	return true
}

// setAgreeing says whether an agreement is under way. One that a loss asks for waits for nothing.
func (c *calm) setAgreeing(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agreeing = is
}

// change does f, which may change the members and says whether it did, unless an epoch is being agreed upon.
func (c *calm) change(f func() (changed bool, err error)) error {
	c.mu.Lock()
	if c.agreeing {
		c.mu.Unlock()
		return nil
	}
	c.changing = true
	c.mu.Unlock()
	changed, err := f()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changing = false
	if changed {
		c.settled = time.Now().Add(settle)
	}
	return err
}
