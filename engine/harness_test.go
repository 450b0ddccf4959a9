package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hive/archive"
	"hive/engine"
	"hive/engine/executor"
	"hive/engine/js"
	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/share"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle makes a program of a script, which is an ES module.
func bundle(t testing.TB, script string) *archive.Bundle {
	t.Helper()
	b, err := archive.Build(t.Context(), archive.Input{
		Entry: archive.Stdin, Source: []byte(script), Dir: "/", Builtins: engine.Modules(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// whole is the epoch of a run whose share never changes: the one that the engine was made for.
var whole executor.Epoch

// setting is what a test wants to be otherwise than usual.
type setting struct {
	env   map[string]string
	files js.Opener
	share func(share.Plan) share.Share
	raw   func([]metric.Sample)
	// node makes the engine one of a hive's: its share may change, and counted iterations want to be allowed.
	node   bool
	fenced bool
}

// target is the setting in which __ENV.TARGET is a URL.
func target(url string) setting { return setting{env: map[string]string{"TARGET": url}} }

// subject is an engine under test.
type subject struct {
	*engine.Engine
	test *engine.Test
	opts options.Options
	log  *journal
}

// load compiles a bundle.
func load(ctx context.Context, b *archive.Bundle, with setting, log *journal) (*engine.Test, error) {
	return engine.Load(ctx, engine.Source{
		Name: b.Name, Code: b.Code, Map: b.Map, Async: b.Async, Env: with.env, Files: with.files,
	}, log.logger())
}

// prepare loads a bundle and makes an engine of it, which ends with the test.
func prepare(t testing.TB, b *archive.Bundle, with setting) *subject {
	t.Helper()
	s, err := tryPrepare(t, b, with)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryPrepare(t testing.TB, b *archive.Bundle, with setting) (*subject, error) {
	t.Helper()
	s := &subject{log: &journal{}}
	var err error
	if s.test, err = load(t.Context(), b, with, s.log); err != nil {
		return nil, err
	}
	var layers []options.Layer
	if exported := s.test.Options(); exported != nil {
		layer, _, err := options.FromJSON(exported, "script")
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, layer)
	}
	if s.opts, _, err = options.Consolidate(layers...); err != nil {
		t.Fatal(err)
	}
	if with.share == nil {
		with.share = share.Whole
	}
	s.Engine, err = engine.New(engine.Config{
		Test: s.test, Options: s.opts, Share: with.share(executor.Layout(s.opts.Scenarios)), Log: s.log.logger(), Raw: with.raw,
		Marked: with.node, Fenced: with.fenced,
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, nil
}

// begin is prepare for a script as text.
func begin(t testing.TB, script string) *subject {
	t.Helper()
	return prepare(t, bundle(t, script), setting{})
}

// life takes the engine through a whole test, in the order in which its callers do: after a failed setup nothing
// follows.
func (s *subject) life(ctx context.Context) error {
	if err := s.Init(ctx); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	data, err := s.Setup(ctx)
	if err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	err = s.Run(ctx, time.Now(), whole, data)
	if late := s.Teardown(context.WithoutCancel(ctx), data); late != nil && err == nil {
		return fmt.Errorf("teardown: %w", late)
	}
	return err
}

// pass is life without a failure.
func (s *subject) pass(t testing.TB) {
	t.Helper()
	if err := s.life(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
}

func (s *subject) view() *metric.View { return metric.NewView(s.Snapshot()) }

// count is the sum of a counter, 0 without samples.
func (s *subject) count(key string) float64 {
	if a := s.view().Get(key); a != nil {
		return a.Sum
	}
	return 0
}

// wantKind checks what sort of failure an error is.
func wantKind(t testing.TB, err error, want engine.Kind) {
	t.Helper()
	if got := engine.KindOf(err); got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

// wantTally checks what became of the iterations.
func (s *subject) wantTally(t testing.TB, completed, interrupted, dropped int64) {
	t.Helper()
	p := s.Progress()
	if p.Iterations != completed || p.Interrupted != interrupted || p.Dropped != dropped {
		t.Errorf("got %d completed, %d interrupted, %d dropped; want %d, %d, %d",
			p.Iterations, p.Interrupted, p.Dropped, completed, interrupted, dropped)
	}
}

// journal keeps what a script and the engine log.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) logger() *slog.Logger {
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: drop}))
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// said lists the messages of console.log, in order.
func (j *journal) said() []string {
	var messages []string
	for line := range strings.Lines(j.String()) {
		if text, ok := strings.CutPrefix(line, "level=INFO msg="); ok {
			text, _, _ = strings.Cut(text, " source=console")
			if plain, err := strconv.Unquote(strings.TrimSpace(text)); err == nil {
				text = plain
			}
			messages = append(messages, text)
		}
	}
	return messages
}

// want checks that each text was logged.
func (j *journal) want(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(j.String(), text) {
			t.Errorf("the log lacks %q:\n%s", text, j)
		}
	}
}

func (j *journal) wantSaid(t testing.TB, messages ...string) {
	t.Helper()
	if got := j.said(); !slices.Equal(got, messages) {
		t.Errorf("the script said\n%q, want\n%q\n%s", got, messages, j)
	}
}

// samples collects raw samples.
type samples struct {
	mu  sync.Mutex
	all []metric.Sample
}

func (s *samples) add(batch []metric.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, batch...)
}

// of lists the samples of a metric by time.
func (s *samples) of(name string) []metric.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []metric.Sample
	for _, x := range s.all {
		if x.Metric.Name == name {
			own = append(own, x)
		}
	}
	slices.SortStableFunc(own, func(a, b metric.Sample) int { return a.Time.Compare(b.Time) })
	return own
}

// values lists the values of a metric in ascending order.
func (s *samples) values(name string) []float64 {
	var values []float64
	for _, x := range s.of(name) {
		values = append(values, x.Value)
	}
	slices.Sort(values)
	return values
}

// upTo is 0, 1, … n-1.
func upTo(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64(i)
	}
	return list
}

// contextFor is the test's context, for at most d.
func contextFor(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
