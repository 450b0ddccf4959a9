package http

import (
	"slices"
	"time"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
)

// timings is response.timings, in milliseconds.
type timings struct {
	rt       *goja.Runtime
	of       httpclient.Timings
	assigned properties
}

var timingFields = []string{
	"duration", "blocked", "looking_up", "connecting", "tls_handshaking", "sending", "waiting", "receiving",
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Get and the methods below make timings an object of JS.
func (t *timings) Get(name string) goja.Value {
	if v := t.assigned.get(name); v != nil {
		return v
	}
	var d time.Duration
	switch name {
	case "duration":
		d = t.of.Duration()
	case "blocked":
		d = t.of.Blocked
	case "connecting":
		d = t.of.Connecting
	case "tls_handshaking":
		d = t.of.TLSHandshaking
	case "sending":
		d = t.of.Sending
	case "waiting":
		d = t.of.Waiting
	case "receiving":
		d = t.of.Receiving
	case "looking_up": // part of connecting
	default:
		return nil
	}
	return t.rt.ToValue(milliseconds(d))
}

// Set assigns a number to one of the properties.
func (t *timings) Set(name string, v goja.Value) bool {
	if !t.Has(name) {
		return false
	}
	t.assigned.set(name, t.rt.ToValue(v.ToFloat()))
	return true
}

// Has tells whether there is such a property.
func (t *timings) Has(name string) bool { return slices.Contains(timingFields, name) }

// Delete refuses to delete the properties there are.
func (t *timings) Delete(name string) bool { return !t.Has(name) }

// Keys lists the properties.
func (t *timings) Keys() []string { return timingFields }
