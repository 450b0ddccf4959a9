package simulation

import (
	"encoding/json"
	"fmt"
	"time"

	"hive/engine/executor"
	"hive/engine/options"
)

// Load is a test for counters.
type Load struct {
	Slots int           // VUs for the arrivals
	Rate  int           // arrivals a second
	Loops int           // VUs that loop
	For   time.Duration // how long
}

// Options are the test's consolidated options, as nodes get them, and its
// scenarios.
func (l Load) Options() (json.RawMessage, []executor.Scenario, error) {
	text := fmt.Sprintf(`"arrivals":{"executor":"constant-arrival-rate","rate":%d,"timeUnit":"1s","duration":"%s","preAllocatedVUs":%d,"maxVUs":%d,"gracefulStop":"0s"}`,
		l.Rate, l.For, l.Slots, l.Slots)
	if l.Loops > 0 {
		text += fmt.Sprintf(`,"loops":{"executor":"constant-vus","vus":%d,"duration":"%s","gracefulStop":"0s"}`, l.Loops, l.For)
	}
	layer, _, err := options.FromJSON([]byte(`{"scenarios":{`+text+`}}`), "simulation")
	if err != nil {
		return nil, nil, fmt.Errorf("simulation: %w", err)
	}
	opts, _, err := options.Consolidate(layer)
	if err != nil {
		return nil, nil, fmt.Errorf("simulation: %w", err)
	}
	data, err := json.Marshal(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("simulation: %w", err)
	}
	var read options.Options // what nodes make of it
	if err := json.Unmarshal(data, &read); err != nil {
		return nil, nil, fmt.Errorf("simulation: %w", err)
	}
	return data, read.Scenarios, nil
}
