package executor

import (
	"fmt"
	"maps"
	"slices"
)

// Propose keeps slots that leave from going on at e.From, and freezes the marks of counted iterations.
func (c *crew) Propose(e Epoch) error {
	if err := c.fits(e); err != nil {
		return err
	}
	c.mu.Lock()
	c.line.propose(e)
	c.mu.Unlock()
	c.tell()
	return nil
}

// Commit makes the slots of e the own ones from e.From on.
func (c *crew) Commit(e Epoch) error {
	if err := c.fits(e); err != nil {
		return err
	}
	if len(e.Work) > 0 && e.Work[c.index].Whole && !c.Marked {
		return fmt.Errorf("executor: epoch %d changes the iterations of %q, which can only be where marks are kept", e.Number, c.scenario.Name)
	}
	c.mu.Lock()
	if c.line.commit(e) {
		c.drain(e)
		c.trade.takeUp(e)
		c.raise()
		if c.over {
			c.settleOver()
		}
	}
	c.mu.Unlock()
	c.tell()
	c.ask()
	return nil
}

// Withdraw lets slots go on that were held.
func (c *crew) Withdraw() {
	c.mu.Lock()
	c.line.held = nil
	c.mu.Unlock()
	c.tell()
	c.ask()
}

// Receive lets slots begin that were awaited. One that has left meanwhile goes on to whoever has it now.
func (c *crew) Receive(slots []Handover) {
	c.mu.Lock()
	c.arrivals = append(c.arrivals, slots...)
	if c.over {
		c.settleOver()
	}
	c.mu.Unlock()
	c.tell()
	c.ask()
}

// Released lists the slots that were given up, ascending.
func (c *crew) Released() []Handover {
	c.mu.Lock()
	defer c.mu.Unlock()
	return handovers(c.released)
}

// handovers lists what was released.
func handovers(released map[int]Handover) []Handover {
	list := slices.Collect(maps.Values(released))
	slices.SortFunc(list, func(a, b Handover) int { return a.Slot - b.Slot })
	return list
}
