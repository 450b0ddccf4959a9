package execution

import (
	"maps"
	"slices"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// tags is exec.vu.metrics.tags: the tags of what the VU measures from now on.
// It implements goja.DynamicObject.
type tags struct{ *state }

func (t tags) Get(key string) goja.Value {
	if ts := t.vu.Tags(); ts != nil {
		if value, ok := ts.Get(key); ok {
			return t.vu.Runtime().ToValue(value)
		}
	}
	return nil
}

func (t tags) Set(key string, v goja.Value) bool {
	value := t.tagValue(key, v)
	if ts := t.vu.Tags(); ts != nil {
		t.vu.SetTags(ts.With(key, value))
	}
	return true
}

// tagValue throws a TypeError for what cannot be a tag's value.
func (s *state) tagValue(key string, v goja.Value) string {
	value, err := js.TagValue(key, v)
	if err != nil {
		panic(s.vu.Runtime().NewTypeError(err.Error()))
	}
	return value
}

func (t tags) Has(key string) bool { return t.Get(key) != nil }

func (t tags) Delete(key string) bool {
	if ts := t.vu.Tags(); ts != nil {
		t.vu.SetTags(ts.Without(key))
	}
	return true
}

func (t tags) Keys() []string {
	ts := t.vu.Tags()
	if ts == nil {
		return nil
	}
	var keys []string
	for _, tag := range ts.Pairs() {
		keys = append(keys, tag.Key)
	}
	return keys
}

// metadata is exec.vu.metrics.metadata. It implements goja.DynamicObject.
type metadata struct{ *state }

func (m metadata) Get(key string) goja.Value {
	if value, ok := m.state.metadata[key]; ok {
		return m.vu.Runtime().ToValue(value)
	}
	return nil
}

func (m metadata) Set(key string, v goja.Value) bool {
	if m.state.metadata == nil {
		m.state.metadata = make(map[string]string)
	}
	m.state.metadata[key] = m.tagValue(key, v)
	return true
}

func (m metadata) Has(key string) bool {
	_, ok := m.state.metadata[key]
	return ok
}

func (m metadata) Delete(key string) bool {
	delete(m.state.metadata, key)
	return true
}

func (m metadata) Keys() []string { return slices.Sorted(maps.Keys(m.state.metadata)) }
