package hive

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// The choices of a policy, the default first.
var (
	lossPolicies   = []LossPolicy{LossRebalance, LossContinue, LossAbort}
	outagePolicies = []OutagePolicy{OutageSkip, OutageFreeze, OutageAbort}
	deratePolicies = []string{"", "on", "off"}
)

// Validate finds the first setting that is none of its choices. The error
// begins with the name of the setting as the command line has it.
func (p Policy) Validate() error {
	if p.OnNodeLoss != "" && !slices.Contains(lossPolicies, p.OnNodeLoss) {
		return fmt.Errorf("on-node-loss %q: want rebalance, continue or abort", p.OnNodeLoss)
	}
	if p.OnOutage != "" && !slices.Contains(outagePolicies, p.OnOutage) {
		return fmt.Errorf("on-outage %q: want skip, freeze or abort", p.OnOutage)
	}
	if p.MaxLoss != nil && (math.IsNaN(*p.MaxLoss) || *p.MaxLoss < 0 || *p.MaxLoss > 1) {
		return fmt.Errorf("max-loss %v: want a part of the plan from 0 to 1, or 0%% to 100%%", *p.MaxLoss)
	}
	if p.Reserve < 0 {
		return fmt.Errorf("reserve %d: want the number of nodes that the hive must be able to lose, 0 or more", p.Reserve)
	}
	if !slices.Contains(deratePolicies, p.Derate) {
		return errors.New(`derate: want "on", "off", or nothing for on in runs of more than 5 minutes`)
	}
	return nil
}
