package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, tc := range []struct{ name, line, want string }{
		{"nothing", "", ""},
		{"command alone", "version", "version --"},
		{"flag before the script", "run --vus 5 a.js", "run --vus=5 -- a.js"},
		{"flag after the script", "run a.js --vus 5", "run --vus=5 -- a.js"},
		{"short names become long ones", "run a.js -u 5 -d 10s", "run --vus=5 --duration=10s -- a.js"},
		{"value joined to a long flag", "run a.js --vus=5", "run --vus=5 -- a.js"},
		{"value joined to a short flag", "run a.js -u5 -u=6", "run --vus=5 --vus=6 -- a.js"},
		{"commas and = stay in a value", "run a.js -e A=b,c=d", "run --env=A=b,c=d -- a.js"},
		{"empty value", "run a.js --out=", "run --out= -- a.js"},
		{"a value may look like a flag", "run a.js --vus -5 -e -v", "run --vus=-5 --env=-v -- a.js"},
		{"a lone flag takes no word", "run --http-debug a.js", "run --http-debug=headers -- a.js"},
		{"a lone flag with a value", "run a.js --http-debug=full", "run --http-debug=full -- a.js"},
		{"bool flags take no word", "run -p a.js", "run --paused -- a.js"},
		{"bool flag with a value", "run --no-setup=false a.js", "run --no-setup=false -- a.js"},
		{"- is an argument", "run - -u 2", "run --vus=2 -- -"},
		{"- is a value", "archive a.js -O -", "archive --archive-out=- -- a.js"},
		{"-- ends flags", "run -u 2 -- --vus", "run --vus=2 -- --vus"},
		{"-- before a dash", "run -- -", "run -- -"},
		{"common flags before the command", "-q --log-format raw run a.js", "run --quiet --log-format=raw -- a.js"},
		{"-v before the command", "-v run a.js", "run --verbose -- a.js"},
		{"common flags without a command", "-q -v", ""},
		{"common flags after it", "run a.js -v --no-color", "run --verbose --no-color -- a.js"},
		{"repeated flags keep their order", "run a.js -s 1s:1 -s 2s:2", "run --stage=1s:1 --stage=2s:2 -- a.js"},
		{"help of a command", "run --help", "run --help --"},
		{"help as a command", "help run", "run --help"},
		{"help of all", "help", "--help"},
		{"version as a flag", "--version", "--version"},
		{"several arguments are kept", "run a.js b.js", "run -- a.js b.js"},
		{"a script called help", "run ./help", "run -- ./help"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := normalise(newApp().program(), strings.Fields(tc.line))
			if err != nil {
				t.Fatalf("normalise(%q): %v", tc.line, err)
			}
			if want := strings.Fields(tc.want); !slices.Equal(got, want) {
				t.Errorf("normalise(%q)\n got %q\nwant %q", tc.line, got, want)
			}
		})
	}
}

func TestNormaliseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, line, want string }{
		{"unknown flag", "run --foo a.js", "unknown flag: --foo"},
		{"flag with a slip", "run --vsu 5 a.js", `did you mean "vus"?`},
		{"unknown short flag", "run -z a.js", "unknown flag: -z"},
		{"long flag with one dash", "run -vus 5 a.js", "write --vus"},
		{"one letter with two dashes", "run --u 5 a.js", "unknown flag: --u"},
		{"bundled flags", "run -qv a.js", "cannot be bundled"},
		{"missing value", "run a.js --vus", "flag needs a value: --vus"},
		{"missing value of a short flag", "run a.js -u", "flag needs a value: -u"},
		{"unknown command", "rnu a.js", `did you mean "run"?`},
		{"flag of another command", "nodes --vus 3", "unknown flag: --vus"},
		{"command's flag before the command", "--vus 3 run a.js", "unknown flag: --vus"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := normalise(newApp().program(), strings.Fields(tc.line))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("normalise(%q): got error %v, want one with %q", tc.line, err, tc.want)
			}
			if got := exitCode(err); got != exitOther {
				t.Errorf("normalise(%q): exit code %d, want %d", tc.line, got, exitOther)
			}
		})
	}
}

func FuzzNormalise(f *testing.F) {
	for _, line := range []string{"run a.js -u 5", "run -e A=b,c -- -", "-q help run", "run --http-debug", "run -u=", "--=", "-"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Fields(line)
		out, err := normalise(newApp().program(), args)
		if err != nil || slices.Contains(args, "help") {
			return
		}
		again, err := normalise(newApp().program(), out)
		if err != nil || !slices.Equal(out, again) {
			t.Errorf("normalise(%q) = %q, and of that %q (%v): want it unchanged", args, out, again, err)
		}
	})
}

func TestDidYouMean(t *testing.T) {
	names := []string{"run", "runs", "nodes", "version"}
	for _, tc := range []struct{ word, want string }{
		{"runn", ` (did you mean "run"?)`},
		{"node", ` (did you mean "nodes"?)`},
		{"verison", ` (did you mean "version"?)`},
		{"completely-different", ""},
	} {
		if got := didYouMean(tc.word, names); got != tc.want {
			t.Errorf("didYouMean(%q) = %q, want %q", tc.word, got, tc.want)
		}
	}
}
