package hive

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// mortal is a fault point at which one of a test's nodes ends as if it were killed, when they come to it for the nth time.
type mortal struct {
	point string
	nth   int64
	times atomic.Int64
	who   atomic.Pointer[running]
}

// launch runs a node that may be the one.
func (m *mortal) launch(t *testing.T, cfg Config, s *script) *running {
	t.Helper()
	var self atomic.Pointer[running]
	cfg.Fault = func(at string) {
		if at == m.point && m.times.Add(1) == m.nth {
			m.who.Store(self.Load())
			self.Load().cancel(errCrash)
			runtime.Goexit() // what called this goes no step further
		}
	}
	r := launch(t, cfg, s)
	self.Store(r)
	return r
}

// duty is a fault point of a node that does a duty of the run, and what comes of its death there.
type duty struct {
	point           string
	nth             int64 // setup() comes first, and then teardown()
	setup, teardown int   // how often they run
	kind            Kind  // that the run ends with; beside that it may be inconclusive
}

var dutyPoints = []duty{
	{"before begin duty", 1, 1, 1, ""},
	{"after begin duty", 1, 0, 1, KindSetupLost},
	{"before setup data", 1, 1, 1, KindSetupLost},
	{"after setup data", 1, 1, 1, KindSetupLost},
	{"before end duty", 1, 1, 1, KindSetupLost},
	{"after end duty", 1, 1, 1, ""},
	{"before begin duty", 2, 1, 1, ""},
	{"after begin duty", 2, 1, 0, ""},
	{"before end duty", 2, 1, 1, ""},
	{"after end duty", 2, 1, 1, ""},
}

// A node is killed before or after what it writes when it runs setup() or teardown(): each is begun once at most, and the
// run says what is not known of it.
func TestNodeKilledAtItsDuty(t *testing.T) {
	t.Parallel()
	for _, d := range dutyPoints {
		t.Run(fmt.Sprintf("%s %d", d.point, d.nth), func(t *testing.T) {
			t.Parallel()
			s := &script{traits: Traits{Setup: true, Teardown: true}}
			m := &mortal{point: d.point, nth: d.nth}
			endpoints, _ := startStore(t)
			lead := launch(t, Config{Name: "lead", Etcd: endpoints, Capacity: 0}, s)
			for _, name := range []string{"n1", "n2"} {
				m.launch(t, Config{Name: name, Etcd: endpoints, Capacity: 10}, s)
			}
			awaitNodes(t, lead, 3)
			res, _ := follow(t, client(t, lead), submit(t, client(t, lead), arriving(t, 40, 6, time.Second)))
			if f := res.Failure; f != nil && f.Kind != d.kind && f.Kind != KindInconclusive || f == nil && d.kind != "" {
				t.Errorf("verdict %s: %v, want it to be %q", res.Verdict, res.Failure, d.kind)
			}
			for call, want := range map[string]int{"setup": d.setup, "teardown": d.teardown} {
				if n, _ := s.count(call); n != want {
					t.Errorf("%s ran %d times, want %d", call, n, want)
				}
			}
			if m.who.Load() == nil {
				t.Error("no node came to this point")
			}
			toldInOrder(t, res)
			begunOnce(t, s, 40)
			told := strings.Contains(strings.Join(res.Warnings, " "), "did not report its end")
			if unsure := d.nth == 2 && (d.point == "after begin duty" || d.point == "before end duty"); told != unsure {
				t.Errorf("the warnings are %q, want one that the end of teardown() is not known: %t", res.Warnings, unsure)
			}
		})
	}
}

// tidyPoints are those of a leader at the end of runs that nobody stops.
var tidyPoints = around("end", "drop archive", "drop run")

// The leader is killed while it ends runs and clears up what is left of them: every run passes, and what nobody needs
// any more goes with the next one.
func TestLeaderKilledWhileItTidies(t *testing.T) {
	t.Parallel()
	a := raise(t, &plot{points: tidyPoints, carry: 2, script: &script{traits: Traits{Teardown: true}}})
	k := a.nodes[0].keys
	for runs, last := 1, false; !last; runs++ {
		if last = a.leaders.done(); runs > 3*len(tidyPoints) {
			t.Fatal("the leaders do not come to all points")
		}
		a.run = submit(t, a.c, arriving(t, mainRate, 6, time.Second))
		a.forgetUpload()
		res, _ := follow(t, a.c, a.run)
		if got := iterations(res); res.Verdict != Passed || got != mainRate {
			t.Errorf("run %d: verdict %s (%v) with %d iterations, want it to pass with %d", runs, res.Verdict, res.Failure, got, mainRate)
		}
		if n, _ := a.script.count("teardown"); n != runs {
			t.Errorf("teardown ran %d times in %d runs", n, runs)
		}
		toldInOrder(t, res)
		a.checkKeys()
	}
	within(t, longWait, "one run is left, and no archive", func() bool {
		ids, err := a.nodes[0].runIDs(t.Context())
		blobs, blobErr := a.etcd.Get(t.Context(), k.Blobs(), clientv3.WithPrefix(), clientv3.WithCountOnly())
		return err == nil && blobErr == nil && len(ids) == 1 && blobs.Count == 0
	})
}

// forgetUpload gives up the claim that keeps an archive for a while after it was uploaded.
func (a *act) forgetUpload() {
	a.t.Helper()
	k := a.nodes[0].keys
	resp, err := a.etcd.Get(a.t.Context(), k.Refs(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	a.must(err)
	for _, kv := range resp.Kvs {
		if strings.Contains(string(kv.Key), "/up-") {
			_, err := a.etcd.Delete(a.t.Context(), string(kv.Key))
			a.must(err)
		}
	}
}
