//go:build !linux

package hive

// momentNow knows of no clock that two processes of one machine share.
func momentNow() Moment { return Moment{} }
