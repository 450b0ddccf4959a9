package hive

// around does a write of the leader, or of a node on its behalf, between two fault points: places at which tests kill
// the process. The tests know every name by which it is called in this package.
func (n *Node) around(write string, do func() error) error {
	if n.cfg.Fault == nil {
		return do()
	}
	n.cfg.Fault("before " + write)
	err := do()
	n.cfg.Fault("after " + write)
	return err
}
