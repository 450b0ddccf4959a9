package engine

import (
	"fmt"

	"hive/engine/executor"
	"hive/engine/httpclient"
	"hive/engine/machine"
)

// spareFiles is how many files the process opens besides those of VUs: logs, outputs, name lookups and its own services.
const spareFiles = 256

// warnOfLimits names, before the start, the limits of this machine that the run would meet if each VU of a script that
// speaks HTTP has one connection open. They may be met later, or never; scripts decide that.
func (e *Engine) warnOfLimits() {
	if !e.pool.speaksHTTP() {
		return
	}
	sources := uint64(1)
	if ips, err := httpclient.ParseLocalIPs(e.opts.LocalIPs); err == nil {
		sources = ips.Len()
	}
	vus := len(e.slots(e.share, executor.Scenario.MaxVUs))
	for _, message := range limitsMet(uint64(vus), sources, machine.Files(), uint64(machine.Ports())) {
		e.log.Warn(message)
	}
}

// limitsMet says which limits stand against so many connections from so many source addresses. Limits of 0 are unknown.
func limitsMet(connections, sources, files, ports uint64) (messages []string) {
	if need := connections + spareFiles; files > 0 && need > files {
		messages = append(messages, fmt.Sprintf("%d VUs with a connection each need %d open files, and this process may have %d: "+
			"raise the limit (ulimit -n %d in the shell, LimitNOFILE= in a systemd unit, --ulimit nofile= for a container) or run fewer VUs on this machine",
			connections, need, files, need))
	}
	if ports > 0 && connections/max(sources, 1) > ports {
		messages = append(messages, fmt.Sprintf("%d VUs with a connection each need more ports than the %d that %d source address(es) have for one address and port of a target: "+
			"give --local-ips at least %d addresses, spread the requests over as many target addresses, or widen net.ipv4.ip_local_port_range",
			connections, ports*sources, sources, (connections+ports-1)/ports))
	}
	return messages
}
