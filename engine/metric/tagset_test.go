package metric

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestEqualTagSetsAreTheSame(t *testing.T) {
	r := NewRegistry()
	a := r.Root().With("x", "1").With("a", "2")
	if b := r.Root().With("a", "2").With("x", "1"); a != b {
		t.Error("order of adding makes another set")
	}
	if b := r.Root().WithAll([]Tag{{"x", "0"}, {"a", "2"}, {"x", "1"}}); a != b {
		t.Error("adding at once makes another set")
	}
	if b := a.With("x", "9").With("x", "1"); a != b {
		t.Error("replacing and putting back makes another set")
	}
	if b := a.With("c", "3").Without("c"); a != b {
		t.Error("removing what was added makes another set")
	}
	if b := a.Without("nope"); a != b {
		t.Error("removing what is not there makes another set")
	}
	if a.Without("a").Without("x") != r.Root() {
		t.Error("removing everything does not give the root")
	}
	if got, want := a.Pairs(), []Tag{{"a", "2"}, {"x", "1"}}; !slices.Equal(got, want) {
		t.Errorf("pairs are %v, want %v", got, want)
	}
	if v, ok := a.Get("x"); v != "1" || !ok {
		t.Errorf("x is %q, %v", v, ok)
	}
	if r.Root().With("a", "bc") == r.Root().With("ab", "c") {
		t.Error("different tags make the same set")
	}
}

func TestTagSetsFromManyGoroutines(t *testing.T) {
	r := NewRegistry()
	sets := make([]*TagSet, 8)
	var wg sync.WaitGroup
	for g := range sets {
		wg.Go(func() {
			for i := range 200 {
				sets[g] = r.Root().With("g", fmt.Sprint(i)).With("h", "1")
			}
		})
	}
	wg.Wait()
	for _, s := range sets[1:] {
		if s != sets[0] {
			t.Fatal("goroutines got different sets for the same tags")
		}
	}
}

func TestTagSetsAreBounded(t *testing.T) {
	r := NewLimitedRegistry(100)
	var warnings []string
	r.Warnings(func(w string) { warnings = append(warnings, w) })
	base := r.Root().With("method", "GET")
	early := base.With("name", "/1")
	for i := range 1000 {
		base.With("name", fmt.Sprintf("/%d", i)).With("status", "200")
	}
	if got, _ := base.With("name", "/late").Get("name"); got != folded {
		t.Errorf("a name past the limit is %q, want %q", got, folded)
	}
	if base.With("name", "/1") != early {
		t.Error("a name from before the limit is folded")
	}
	late := base.With("name", "/later").With("status", "503")
	if got, _ := late.Get("status"); got != "503" {
		t.Errorf("the status of a folded name is %q, want 503", got)
	}
	for i := range 10_000 {
		r.Root().With(fmt.Sprintf("k%d", i), "v").With("status", fmt.Sprint(i))
	}
	if got := len(r.sets); got > 301 {
		t.Errorf("%d sets exist with a limit of 100, want at most 300", got)
	}
	if len(warnings) != 2 {
		t.Errorf("%d warnings were given, want 2: %q", len(warnings), warnings)
	}
}

func TestRegister(t *testing.T) {
	r := NewRegistry()
	m, err := r.Register("my_metric", Trend, Time)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Register("my_metric", Trend, Time); err != nil || again != m {
		t.Errorf("registering again gives %v, %v", again, err)
	}
	if r.Metrics()[m.ID] != m || r.Lookup("my_metric") != m {
		t.Error("the metric is not found by its ID or name")
	}
	for _, bad := range []string{"", "a", "1ab", "a-b", "a b", "ä_b", string(make([]byte, 200))} {
		if _, err := r.Register(bad, Counter, Default); err == nil {
			t.Errorf("the name %q is accepted", bad)
		}
	}
	if _, err := r.Register("my_metric", Counter, Default); err == nil {
		t.Error("a second type for the same name is accepted")
	}
	if _, err := r.Register("http_reqs", Counter, Default); err != nil {
		t.Errorf("a built-in metric registered as it is: %v", err)
	}
}

func TestParseSelector(t *testing.T) {
	tests := []struct {
		key, name, canonical string
		tags                 []Tag
		bad                  bool
	}{
		{key: "http_reqs", name: "http_reqs", canonical: "http_reqs"},
		{key: "http_reqs{a:b}", name: "http_reqs", canonical: "http_reqs{a:b}", tags: []Tag{{"a", "b"}}},
		{key: `m{ a : "b:c" , 'd':e }`, name: "m", canonical: `m{a : "b:c" , 'd':e}`, tags: []Tag{{"a", "b:c"}, {"d", "e"}}},
		{key: "m{url:http://x/{id}}", name: "m", canonical: "m{url:http://x/{id}}", tags: []Tag{{"url", "http://x/{id}"}}},
		{key: "m{group:::a}", name: "m", canonical: "m{group:::a}", tags: []Tag{{"group", "::a"}}},
		{key: "", bad: true},
		{key: "{a:b}", bad: true},
		{key: "m{}", bad: true},
		{key: "m{a}", bad: true},
		{key: "m{a:}", bad: true},
		{key: "m{:b}", bad: true},
		{key: "m{a:b,}", bad: true},
		{key: "m{a:b", bad: true},
		{key: "m{a:b}x", bad: true},
	}
	for _, tt := range tests {
		sel, err := ParseSelector(tt.key)
		if tt.bad {
			if err == nil {
				t.Errorf("%q is accepted", tt.key)
			}
			continue
		}
		if err != nil || sel.Metric != tt.name || !slices.Equal(sel.Tags, tt.tags) || sel.Key() != tt.canonical {
			t.Errorf("%q is %+v with key %q, %v", tt.key, sel, sel.Key(), err)
		}
	}
}

func TestSystemTags(t *testing.T) {
	s := ParseSystemTags([]string{"vu", "status", "nonsense"})
	if s != TagVU|TagStatus || !s.Has(TagVU) || s.Has(TagVU|TagIter) {
		t.Errorf("parsed %b", s)
	}
	if got := s.Names(); !slices.Equal(got, []string{"status", "vu"}) {
		t.Errorf("names are %v", got)
	}
	if n := len(DefaultSystemTags.Names()); n != 14 {
		t.Errorf("%d tags are on by default, want 14", n)
	}
}

func FuzzParseSelector(f *testing.F) {
	f.Add("m{a:b}")
	f.Add(`m{ a : "b" , c:d }`)
	f.Fuzz(func(t *testing.T, key string) {
		sel, err := ParseSelector(key)
		if err != nil {
			return
		}
		again, err := ParseSelector(sel.Key())
		if err != nil || again.Key() != sel.Key() || !slices.Equal(again.Tags, sel.Tags) {
			t.Fatalf("%q has key %q, which is %+v, %v", key, sel.Key(), again, err)
		}
	})
}
