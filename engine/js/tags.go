package js

import (
	"fmt"

	"github.com/dop251/goja"

	"hive/engine/metric"
)

// TagValue is v as the value of a tag: a string, number or boolean.
func TagValue(key string, v goja.Value) (string, error) {
	switch v.(type) {
	case nil, *goja.Object, *goja.Symbol:
	default:
		if !goja.IsNull(v) && !goja.IsUndefined(v) {
			return v.String(), nil
		}
	}
	return "", fmt.Errorf("invalid value for metric tag '%s': a tag is a string, a number or a boolean", key)
}

// WithTags lays the tags that a script gave as an object over ts. Values that
// are no objects count as no tags.
func (vu *VU) WithTags(ts *metric.TagSet, tags goja.Value) (*metric.TagSet, error) {
	obj, ok := tags.(*goja.Object)
	if !ok {
		return ts, nil
	}
	for _, key := range obj.Keys() {
		value, err := TagValue(key, obj.Get(key))
		if err != nil {
			return nil, err
		}
		ts = ts.With(key, value)
	}
	return ts, nil
}
