package isolate

import (
	"bytes"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hive/engine/metric"
	"hive/hive"
)

func TestParseMemory(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		text  string
		total int64
		want  int64
		err   string
	}{
		{"2GiB", 0, 2 * gib, ""}, {"500MB", 0, 500e6, ""}, {"80%", 10 * gib, 8 * gib, ""}, {" 1.5 gib ", 0, 3 * gib / 2, ""},
		{"1073741824", 0, gib, ""}, {"1073741824B", 0, gib, ""}, {"100%", gib, gib, ""}, {"1TiB", 0, 1024 * gib, ""}, {"2gb", 0, 2e9, ""},
		{"", 0, 0, "want a size"}, {"much", 0, 0, "want a size"}, {"2 Gigs", 0, 0, "want a size"}, {"NaN", 0, 0, "want a size"}, {"infGB", 0, 0, "want a size"},
		{"80%", 0, 0, "not known"}, {"120%", gib, 0, "at most 100%"}, {"0", 0, 0, "at least 64 MiB"}, {"-1GiB", 0, 0, "at least 64 MiB"}, {"1%", gib, 0, "at least 64 MiB"},
		{"99999999999TiB", 0, 0, "more than any machine"},
	} {
		got, err := ParseMemory(tt.text, tt.total)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q of %d: got %d, %v; want %d, %q", tt.text, tt.total, got, err, tt.want, tt.err)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 2 << 30: "2 GiB", 2254857830: "2.1 GiB", 3 << 40: "3 TiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

func TestTooScarce(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		resident    int64
		free, total uint64
		want        string
	}{
		{5 * gib, gib / 4, 10 * gib, "it used 5 GiB, and only 256 MiB of the machine's 10 GiB were free, less than 5%"},
		{5 * gib, gib, 10 * gib, ""},
		{gib / 10, gib / 4, 10 * gib, ""}, // another process is to blame
		{5 * gib, 0, 0, ""},               // not known
	} {
		if got := tooScarce(tt.resident, tt.free, tt.total, scarce); got != tt.want {
			t.Errorf("%d used, %d of %d free: %q, want %q", tt.resident, tt.free, tt.total, got, tt.want)
		}
	}
	if got := DefaultMemory(); got != 0 && got < minMemory {
		t.Errorf("an engine may use %d bytes when nobody says", got)
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		own   []string
		limit int64
		want  string
	}{
		{[]string{"A=b"}, 1000, "A=b " + pipesVariable + "=3,4 GOMEMLIMIT=900"},
		{[]string{"GOMEMLIMIT=1GiB"}, 1000, "GOMEMLIMIT=1GiB " + pipesVariable + "=3,4"},
		{nil, 0, pipesVariable + "=3,4"},
	} {
		if got := strings.Join(environment(tt.own, pipesValue, tt.limit), " "); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestOutput(t *testing.T) {
	long := strings.Repeat("x", 3*maxOutput)
	for _, tt := range []struct {
		name         string
		writes       []string
		crash, holds string
		most         int
	}{
		{"nothing", nil, "", "", 0},
		{"words", []string{"one\ntw", "o\nthree"}, "", "one\ntwo\nthree", 20},
		{"much", []string{strings.Repeat("some words\n", 20000), "the end"}, "", "the end", maxOutput},
		{"one line", []string{long, "\nthe end\n"}, "", "the end", 2 * maxOutput},
		{"signal", []string{"SIGSEGV: segmentation violation\nPC=0x1\n", "gs     0x0\n"}, "SIGSEGV: segmentation violation", "gs", maxOutput},
		{"crash", []string{strings.Repeat("before\n", 20000), "fatal err", "or: concurrent map writes\n", strings.Repeat("goroutine 1\n", 20000)}, "fatal error: concurrent map writes", "goroutine 1", maxOutput},
		{"panic", []string{"panic: boom\n\ngoroutine 1 [running]:\n"}, "panic: boom", "[running]:", 100},
		{"twice", []string{"panic: a\npanic: b\n"}, "panic: a", "panic: b", 100},
		{"not at the start", []string{"no panic: here\n"}, "", "no panic: here", 100},
	} {
		o := &output{}
		for _, w := range tt.writes {
			if n, err := io.WriteString(o, w); n != len(w) || err != nil {
				t.Fatalf("%s: wrote %d, %v", tt.name, n, err)
			}
		}
		if got := o.String(); o.Crash() != tt.crash || !strings.Contains(got, tt.holds) || len(got) > tt.most || tt.crash != "" && !strings.HasPrefix(got, tt.crash) {
			t.Errorf("%s: crash %q, %d bytes kept: %.100s", tt.name, o.Crash(), len(got), got)
		}
	}
}

func TestKindsOfDeath(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  end
		text string
		want hive.Kind
	}{
		{"a plain kill", killedBy(syscall.SIGKILL, false, 3<<20), "the engine was killed by signal 9 (killed); it used 3 MiB", hive.KindEngine},
		{"the kernel's", killedBy(syscall.SIGKILL, true, 3<<20), "the engine was killed by signal 9 (killed), by the kernel for want of memory; it used 3 MiB", hive.KindEngineMemory},
		{"another signal beside the kernel's", killedBy(syscall.SIGSEGV, true, 0), "the engine was killed by signal 11 (segmentation fault)", hive.KindEngine},
	} {
		if f := tt.end.failure(); f.Kind != tt.want || f.Message != tt.text {
			t.Errorf("%s: %s %q, want %s %q", tt.name, f.Kind, f.Message, tt.want, tt.text)
		}
	}
	for crash, want := range map[string]bool{
		"fatal error: runtime: out of memory":          true,
		"fatal error: runtime: cannot allocate memory": true,
		"fatal error: concurrent map writes":           false,
		"panic: out of memory":                         false,
	} {
		if outOfMemory(crash) != want {
			t.Errorf("%s: want %t", crash, want)
		}
	}
}

func TestInstants(t *testing.T) {
	for _, d := range []time.Duration{0, time.Hour, -time.Hour} {
		at := time.Now().Add(d)
		if off := instantOf(at).time().Sub(at); off.Abs() > 5*time.Millisecond {
			t.Errorf("%s from now: %s off", d, off)
		}
		if off := deadlineOf(at).time().Sub(at); off.Abs() > 5*time.Millisecond {
			t.Errorf("%s from now, as a deadline: %s off", d, off)
		}
	}
}

func TestLogAttributes(t *testing.T) {
	for _, a := range []slog.Attr{
		slog.String("a", "b"), slog.String("a", ""), slog.Bool("a", false), slog.Int("a", 0), slog.Uint64("a", math.MaxUint64), slog.Float64("a", 0.5),
		slog.Duration("a", time.Second), slog.Time("a", time.Unix(1, 2).UTC()), slog.Group("g", slog.Int("a", 1), slog.Group("h", slog.Int("b", 2))),
	} {
		data, err := encode(toLogAttr(a))
		if err != nil {
			t.Fatal(err)
		}
		w, err := decode[logAttr](data)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.attr(); !got.Equal(a) {
			t.Errorf("%s came as %v of kind %v, want %v of kind %v", data, got, got.Value.Kind(), a, a.Value.Kind())
		}
	}
	if got := toLogAttr(slog.Float64("a", math.Inf(1))).attr(); got.Value.String() != "+Inf" {
		t.Errorf("infinity came as %v", got)
	}
	if got := cut(strings.Repeat("é", maxMessage)); len(got) > maxMessage+40 || !strings.HasSuffix(got, "more bytes)") {
		t.Errorf("a long message has %d bytes, ending %q", len(got), got[len(got)-20:])
	}
}

// blocked is a reader that never reads.
type blocked struct{ free chan struct{} }

func (b blocked) Write(p []byte) (int, error) { <-b.free; return len(p), nil }

func TestLogsAreDroppedRatherThanWaitedFor(t *testing.T) {
	w := blocked{make(chan struct{})}
	out := newSender(w)
	l := &logSender{to: out}
	for range 3 * maxBacklog >> 20 {
		if err := l.send(logRecord{Message: strings.Repeat("x", 1<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := out.backlog(); got > maxBacklog+2<<20 || l.lost == 0 {
		t.Errorf("%d bytes wait, %d lines were dropped", got, l.lost)
	}
	close(w.free)
	out.close()
	<-out.done
}

func TestLogsHaveARate(t *testing.T) {
	out := newSender(io.Discard)
	l := &logSender{to: out}
	line := logRecord{Message: strings.Repeat("x", 1000)}
	for range 20 << 10 {
		if err := l.send(line); err != nil {
			t.Fatal(err)
		}
	}
	if l.lost == 0 || l.lost > 17<<10 {
		t.Errorf("%d of 20480 lines of 1 kB were dropped, want those beyond the first 4 MiB and what the time allows", l.lost)
	}
	out.close()
	<-out.done
}

func TestFrames(t *testing.T) {
	large := bytes.Repeat([]byte("payload "), 300_000)
	var pipe bytes.Buffer
	out := newSender(&pipe)
	sent := []frame{
		{head{Kind: request, ID: 7, Method: "run", Args: []byte(`{"a":1}`)}, large},
		{head{Kind: reply, ID: 7, Error: &wireError{Text: "no"}}, nil},
		{head{Kind: note, Method: "need"}, []byte("x")},
	}
	for _, f := range sent {
		if err := out.send(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.send(frame{head{Args: []byte("no JSON")}, nil}); err == nil {
		t.Error("a head that is no JSON was sent")
	}
	out.close()
	<-out.done
	for _, want := range sent {
		got, err := readFrame(&pipe)
		if err != nil || got.Kind != want.Kind || got.ID != want.ID || got.Method != want.Method || !bytes.Equal(got.Args, want.Args) || !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("got %v (%v), want %v", got.head, err, want.head)
		}
	}
	if _, err := readFrame(&pipe); err != io.EOF {
		t.Errorf("after the last frame: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	whole, err := appendHead(nil, frame{head{Kind: request, ID: 1, Method: methodStop}, []byte("abc")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(whole, "abc"...))
	f.Add([]byte{})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{0, 0, 0, 2, 0, 0, 0, 0, '{', '}'})
	f.Add([]byte{0, 0, 0, 2, 63, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readFrame(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := appendHead(nil, got)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := readFrame(bytes.NewReader(append(again, got.Payload...)))
		if err != nil || back.ID != got.ID || back.Kind != got.Kind || back.Method != got.Method || !bytes.Equal(back.Payload, got.Payload) {
			t.Errorf("read %+v, then %+v (%v)", got, back, err)
		}
	})
}

// FuzzTake gives a parent what no child would say.
func FuzzTake(f *testing.F) {
	f.Add("state", []byte(`{"ledger":[{"completed":1}],"rest":{"metrics":[{"name":"x","kind":9}]}}`))
	f.Add("log", []byte(`{"attrs":[{"k":"a","g":[{}]}]}`))
	f.Add("broken", []byte(`{}`))
	f.Add("need", []byte(``))
	f.Add("?", []byte(`null`))
	f.Fuzz(func(t *testing.T, method string, args []byte) {
		c := newIdle()
		_ = c.take(frame{head{Kind: note, Method: method, Args: args}, nil})
		_, _ = c.Progress(), c.Health()
		_, _ = c.MarkedFailed()
	})
}

// newIdle is a client without a process.
func newIdle() *client {
	return &client{job: slog.DiscardHandler, registry: metric.NewRegistry(), need: make(chan struct{}, 1), done: make(chan struct{}), calls: map[uint64]chan<- frame{}, state: noState()}
}

func TestNextLook(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name  string
		grown int64
		in    time.Duration
		room  int64
		want  time.Duration
	}{
		{"nothing grows", 0, time.Second, 100 * mib, mostLook},
		{"it shrinks", -mib, time.Second, 100 * mib, mostLook},
		{"slowly", mib, time.Second, 1000 * mib, mostLook},
		{"a gigabyte a second, 100 MiB to go", 50 * mib, 50 * time.Millisecond, 100 * mib, 25 * time.Millisecond},
		{"nearly full", 50 * mib, 50 * time.Millisecond, mib, leastLook},
		{"over", 50 * mib, 50 * time.Millisecond, -mib, leastLook},
	} {
		if got := nextLook(tt.grown, tt.in, tt.room); got != tt.want {
			t.Errorf("%s: look again in %s, want %s", tt.name, got, tt.want)
		}
	}
}

// gatedWriter lets each write through when it is told to.
type gatedWriter struct {
	gate chan struct{}
	got  chan []byte
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	<-w.gate
	w.got <- slices.Clone(p)
	return len(p), nil
}

func TestSenderLetsLogLinesWait(t *testing.T) {
	w := &gatedWriter{gate: make(chan struct{}), got: make(chan []byte, 100)}
	out := newSender(w)
	line := logRecord{Message: strings.Repeat("x", slowAtOnce)}
	lines := &logSender{to: out}
	for range 20 {
		if err := lines.send(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := sendNote(out, noteState, nil, nil); err != nil {
		t.Fatal(err)
	}
	out.close()
	close(w.gate)
	<-out.done
	close(w.got)
	var all []byte
	for p := range w.got {
		all = append(all, p...)
	}
	r := bytes.NewReader(all)
	var methods []string
	for {
		f, err := readFrame(r)
		if err != nil {
			break
		}
		methods = append(methods, f.Method)
	}
	if k := slices.Index(methods, noteState); len(methods) != 21 || k < 0 || k > 2 {
		t.Errorf("%d frames, the state at place %d, want 21, and the state before nearly all lines", len(methods), k)
	}
}
