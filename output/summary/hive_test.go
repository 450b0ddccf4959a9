package summary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func sampleHive() *Hive {
	return &Hive{
		Run: "r1", Verdict: "inconclusive", Reason: "1.2% of the plan was lost",
		Ledger: []Ledger{
			{Scenario: "pages", Executor: "constant-arrival-rate", Unit: "iterations", Planned: 12000, Completed: 11900, Interrupted: 3,
				Dropped: map[string]float64{"no-free-vu": 48, "max-duration": 2, "stalled": 0}, Lost: 40, Unknown: 7},
			{Scenario: "loop", Executor: "constant-vus", Unit: "vu-seconds", Planned: 600, Active: 590.24, Handover: 9.76, Lost: 0.004},
		},
		Timeline: []Event{
			{N: 1, Kind: "start", Message: "load begins"},
			{N: 2, At: 12300 * time.Millisecond, Kind: "node-lost", Node: "b", Message: "its lease is gone", Cost: map[string]float64{"lost": 40, "unknown": 7, "slots": 0}},
			{N: 3, At: 61 * time.Second, Kind: "end", Message: "load ends"},
		},
	}
}

func TestLedgerInWords(t *testing.T) {
	h := sampleHive()
	for i, want := range []string{
		"planned 12000, completed 11900, interrupted 3, dropped 50 (max-duration 2, no-free-vu 48), lost 40, unknown 7",
		"planned 600.0 VU-seconds, active 590.2, handover 9.8",
	} {
		if got := h.Ledger[i].String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := h.Timeline[1].String(), "b: its lease is gone (lost 40, unknown 7)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextOfAHive(t *testing.T) {
	in := site(t)
	var without, with bytes.Buffer
	if err := Text(&without, in, Compact, false); err != nil {
		t.Fatal(err)
	}
	in.Hive = sampleHive()
	if err := Text(&with, in, Compact, false); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(with.String(), strings.TrimRight(without.String(), "\n")) {
		t.Error("k6's part of the summary has changed")
	}
	const want = `
  █ HIVE 

    verdict...: inconclusive: 1.2% of the plan was lost
      pages...: planned 12000, completed 11900, interrupted 3, dropped 50 (max-duration 2, no-free-vu 48), lost 40, unknown 7
      loop....: planned 600.0 VU-seconds, active 590.2, handover 9.8

    TIMELINE
          0.0s  load begins
         12.3s  b: its lease is gone (lost 40, unknown 7)
       1m01.0s  load ends

`
	var got []string
	for line := range strings.Lines(with.String()[strings.Index(with.String(), "\n  █ HIVE"):]) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if trimmed := strings.Join(got, "\n"); !strings.HasPrefix(trimmed, strings.ReplaceAll(want, "HIVE ", "HIVE")) {
		t.Errorf("got\n%s\nwant\n%s", trimmed, want)
	}
	if strings.Contains(without.String(), "HIVE") {
		t.Error("a run on one machine has a section of the hive")
	}
}

func TestTimelineInText(t *testing.T) {
	text := func(h *Hive) string {
		in := site(t)
		in.Hive = h
		var b bytes.Buffer
		if err := Text(&b, in, Compact, false); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := text(&Hive{Run: "r1", Timeline: []Event{{Kind: "start"}, {Kind: "end"}}}); strings.Contains(got, "TIMELINE") {
		t.Errorf("nothing happened: got\n%s", got)
	}
	long := &Hive{Run: "r1"}
	for i := range 50 {
		long.Timeline = append(long.Timeline, Event{Kind: "epoch", Message: fmt.Sprintf("change %d.", i)})
	}
	got := text(long)
	if !strings.Contains(got, "change 19.") || strings.Contains(got, "change 20.") || !strings.Contains(got, "… and 30 more: hive events r1") {
		t.Errorf("a long timeline: got\n%s", got)
	}
}

func TestHiveForMachines(t *testing.T) {
	in := site(t)
	in.Hive = sampleHive()
	export, err := Export(in)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(Data(in))
	if err != nil {
		t.Fatal(err)
	}
	machine, err := MachineReadable(in, About{})
	if err != nil {
		t.Fatal(err)
	}
	for name, encoded := range map[string][]byte{"export": export, "data": data, "machine": machine} {
		var got struct {
			Hive struct {
				Run, Verdict, Reason string
				Ledger               []map[string]any
				Timeline             []map[string]any
			}
		}
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h := got.Hive; h.Run != "r1" || h.Verdict != "inconclusive" || len(h.Ledger) != 2 || h.Ledger[0]["lost"] != 40.0 || len(h.Timeline) != 3 || h.Timeline[1]["kind"] != "node-lost" {
			t.Errorf("%s: got %+v", name, got.Hive)
		}
	}
}
