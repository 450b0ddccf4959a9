package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

// policyOf reads the policy from the words of a command line.
func policyOf(t *testing.T, words ...string) (p hive.Policy, err error) {
	t.Helper()
	program := &cli.App{Writer: io.Discard, ErrWriter: io.Discard, Flags: join(hiveFlags(false), policyFlags()),
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			p, err = parsePolicy(c, os.LookupEnv)
			return nil
		}}
	if failed := program.RunContext(t.Context(), append([]string{"hive"}, words...)); failed != nil {
		t.Fatalf("%q: %v", words, failed)
	}
	return p, err
}

func TestPolicy(t *testing.T) {
	part := func(v float64) *float64 { return &v }
	for _, tc := range []struct {
		line string
		want hive.Policy
	}{
		{"", hive.Policy{}},
		{"--on-node-loss=rebalance", hive.Policy{OnNodeLoss: hive.LossRebalance}},
		{"--on-node-loss=continue --on-outage=freeze", hive.Policy{OnNodeLoss: hive.LossContinue, OnOutage: hive.OutageFreeze}},
		{"--on-node-loss=abort --on-outage=abort", hive.Policy{OnNodeLoss: hive.LossAbort, OnOutage: hive.OutageAbort}},
		{"--max-loss=1%", hive.Policy{MaxLoss: part(0.01)}},
		{"--max-loss=0.25", hive.Policy{MaxLoss: part(0.25)}},
		{"--max-loss=0", hive.Policy{MaxLoss: part(0)}},
		{"--max-loss=100%", hive.Policy{MaxLoss: part(1)}},
		{"--reserve=2", hive.Policy{Reserve: 2}},
		{"--derate", hive.Policy{Derate: "on"}},
		{"--derate=false", hive.Policy{Derate: "off"}},
	} {
		got, err := policyOf(t, append([]string{"--remote=n"}, strings.Fields(tc.line)...)...)
		same := got.OnNodeLoss == tc.want.OnNodeLoss && got.OnOutage == tc.want.OnOutage && got.Reserve == tc.want.Reserve && got.Derate == tc.want.Derate &&
			(got.MaxLoss == nil) == (tc.want.MaxLoss == nil) && (got.MaxLoss == nil || *got.MaxLoss == *tc.want.MaxLoss)
		if err != nil || !same {
			t.Errorf("%s: got %+v, %v; want %+v", tc.line, got, err, tc.want)
		}
	}
}

func TestPolicyRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"--on-node-loss=retry": `--on-node-loss "retry": want rebalance, continue or abort`,
		"--on-outage=wait":     `--on-outage "wait": want skip, freeze or abort`,
		"--max-loss=101%":      "--max-loss 101%: want a part",
		"--max-loss=2":         "--max-loss 2: want a part",
		"--max-loss=-1%":       "--max-loss -1%: want a part",
		"--max-loss=much":      "--max-loss much: want a part",
		"--max-loss=NaN":       "--max-loss NaN: want a part",
		"--max-loss=":          "--max-loss : want a part",
		"--reserve=-1":         "--reserve -1: want the number of nodes",
	} {
		_, err := policyOf(t, "--remote=n", line)
		if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitOther {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

// What is set for the whole machine must not keep a local run from running; what was typed is refused.
func TestPolicyOfALocalRun(t *testing.T) {
	t.Setenv("HIVE_ON_NODE_LOSS", "abort")
	t.Setenv("HIVE_MAX_LOSS", "2%")
	if p, err := policyOf(t); err != nil || p.OnNodeLoss != "" || p.MaxLoss != nil {
		t.Errorf("variables: got %+v, %v; want nothing of them", p, err)
	}
	if p, err := policyOf(t, "--remote=n"); err != nil || p.OnNodeLoss != hive.LossAbort || p.MaxLoss == nil || *p.MaxLoss != 0.02 {
		t.Errorf("variables of a remote run: got %+v, %v", p, err)
	}
	os.Unsetenv("HIVE_ON_NODE_LOSS") // t.Setenv puts it back
	os.Unsetenv("HIVE_MAX_LOSS")
	for _, f := range policyFlags() {
		name := f.Names()[0]
		word := "--" + name + "=1"
		if name == "derate" {
			word = "--" + name
		}
		if _, err := policyOf(t, word); err == nil || !strings.Contains(err.Error(), "--"+name+" needs --remote") {
			t.Errorf("%s: got %v, want a refusal", word, err)
		}
	}
}
