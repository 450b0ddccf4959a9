//go:build !linux

package registry

import "time"

var started = time.Now()

// sinceBoot reads a clock that never jumps. Where Linux has one that counts suspension, other systems' monotonic clock
// does (Windows) or does not (macOS).
func sinceBoot() time.Duration { return time.Since(started) }
