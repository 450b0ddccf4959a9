package engine

import (
	"strings"
	"testing"
)

func TestLimitsMet(t *testing.T) {
	for _, tt := range []struct {
		what                               string
		connections, sources, files, ports uint64
		want                               []string // a part of each message
	}{
		{what: "all fits", connections: 1000, sources: 1, files: 20_000, ports: 28_232},
		{what: "nothing is known", connections: 1 << 30, sources: 1},
		{what: "files", connections: 20_000, sources: 1, files: 20_000, ports: 28_232, want: []string{"ulimit -n 20256"}},
		{what: "ports", connections: 30_000, sources: 1, files: 65_536, ports: 28_232, want: []string{"at least 2 addresses"}},
		{what: "ports of several addresses", connections: 30_000, sources: 2, files: 65_536, ports: 28_232},
		{what: "both", connections: 90_000, sources: 2, files: 20_000, ports: 28_232, want: []string{"need 90256 open files, and this process may have 20000", "the 56464 that 2 source address(es)"}},
	} {
		got := limitsMet(tt.connections, tt.sources, tt.files, tt.ports)
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %q, want %d messages", tt.what, got, len(tt.want))
			continue
		}
		for i, part := range tt.want {
			if !strings.Contains(got[i], part) {
				t.Errorf("%s: got %q, want %q in it", tt.what, got[i], part)
			}
		}
	}
}
