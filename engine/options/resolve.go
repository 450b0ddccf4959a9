package options

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
)

// Defaults of options that nobody set.
const (
	defaultSetupTimeout   = 60 * time.Second
	defaultSummaryTimeout = 120 * time.Second
	defaultMaxRedirects   = 10
	defaultBatch          = 20
	defaultBatchPerHost   = 6
	defaultSampleBuffer   = 1000
	defaultDNSTTL         = 5 * time.Minute
	defaultDNSSelect      = "random"
	defaultDNSPolicy      = "preferIPv4"
)

func defaultTrendStats() []string { return []string{"avg", "min", "med", "max", "p(90)", "p(95)"} }

// resolve turns a derived layer into plain options.
func (l Layer) resolve() (Options, error) {
	o := Options{
		Scenarios: l.Scenarios, Paused: value(l.Paused, false),
		NoSetup: value(l.NoSetup, false), NoTeardown: value(l.NoTeardown, false),
		SetupTimeout:         value(l.SetupTimeout, defaultSetupTimeout),
		TeardownTimeout:      value(l.TeardownTimeout, defaultSetupTimeout),
		HandleSummaryTimeout: value(l.HandleSummaryTimeout, defaultSummaryTimeout),
		RPS:                  max(0, value(l.RPS, 0)), MaxRedirects: max(0, value(l.MaxRedirects, defaultMaxRedirects)),
		UserAgent: value(l.UserAgent, ""), Batch: max(0, value(l.Batch, defaultBatch)),
		BatchPerHost: max(0, value(l.BatchPerHost, defaultBatchPerHost)), HTTPDebug: value(l.HTTPDebug, ""),
		InsecureSkipTLSVerify: value(l.InsecureSkipTLSVerify, false), TLSCipherSuites: l.TLSCipherSuites,
		TLSVersion: value(l.TLSVersion, TLSVersions{}), TLSAuth: l.TLSAuth, Throw: value(l.Throw, false),
		BlockHostnames: l.BlockHostnames, Hosts: l.Hosts,
		NoConnectionReuse: value(l.NoConnectionReuse, false), NoVUConnectionReuse: value(l.NoVUConnectionReuse, false),
		DiscardResponseBodies: value(l.DiscardResponseBodies, false), LocalIPs: value(l.LocalIPs, ""),
		NoCookiesReset: value(l.NoCookiesReset, false), Thresholds: l.Thresholds,
		MinIterationDuration: value(l.MinIterationDuration, 0),
		SummaryTrendStats:    l.SummaryTrendStats, SummaryTimeUnit: value(l.SummaryTimeUnit, ""),
		SystemTags: metric.DefaultSystemTags, Tags: l.Tags,
		MetricSamplesBufferSize: value(l.MetricSamplesBufferSize, defaultSampleBuffer),
		ConsoleOutput:           value(l.ConsoleOutput, ""),
		ExecutionSegment:        value(l.ExecutionSegment, ""), ExecutionSegmentSequence: value(l.ExecutionSegmentSequence, ""),
		Cloud: l.Cloud, Ext: l.Ext, layer: l,
	}
	if l.SystemTags != nil {
		o.SystemTags = metric.ParseSystemTags(l.SystemTags)
	}
	if l.SummaryTrendStats == nil {
		o.SummaryTrendStats = defaultTrendStats()
	}
	if !slices.Contains([]string{"s", "ms", "us"}, o.SummaryTimeUnit) {
		o.SummaryTimeUnit = ""
	}
	var dnsErr, ipErr error
	o.DNS, dnsErr = value(l.DNS, DNSLayer{}).resolve()
	o.BlacklistIPs, ipErr = parsePrefixes(l.BlacklistIPs)
	if err := errors.Join(fault("dns", dnsErr), fault("blacklistIPs", ipErr), o.validate()); err != nil {
		return Options{}, err
	}
	return o, nil
}

func fault(option string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Option: option, Err: err}
}

// validate checks what one option alone does not tell.
func (o Options) validate() error {
	errs := []error{
		positive("setupTimeout", o.SetupTimeout), positive("teardownTimeout", o.TeardownTimeout),
		positive("handleSummaryTimeout", o.HandleSummaryTimeout),
		fault("tlsVersion", o.TLSVersion.check()),
		fault("summaryTrendStats", checkTrendStats(o.SummaryTrendStats)),
		fault("hosts", checkHosts(o.Hosts)),
		fault("blockHostnames", checkHostnames(o.BlockHostnames)),
	}
	if o.MinIterationDuration < 0 {
		errs = append(errs, fault("minIterationDuration", fmt.Errorf("found %v, want 0 or more", o.MinIterationDuration)))
	}
	if o.ExecutionSegment != "" || o.ExecutionSegmentSequence != "" {
		_, err := share.FromSegment(share.Plan{}, o.ExecutionSegment, o.ExecutionSegmentSequence)
		errs = append(errs, fault("executionSegment", err))
	}
	return errors.Join(errs...)
}

// CheckExec reports scenarios whose function the script does not export.
func (o Options) CheckExec(exports []string) error {
	var errs []error
	for _, s := range o.Scenarios {
		if !slices.Contains(exports, s.Exec) {
			what := fmt.Sprintf("function %q is not exported by the script", s.Exec)
			if len(exports) > 0 {
				what += ", which exports " + strings.Join(exports, ", ")
			}
			errs = append(errs, fault("scenarios."+s.Name+".exec", errors.New(what)))
		}
	}
	return errors.Join(errs...)
}

// doubts are conditions that are allowed and yet rarely meant.
func (o Options) doubts() []string {
	var warnings []string
	if unit := value(o.layer.SummaryTimeUnit, ""); unit != o.SummaryTimeUnit {
		warnings = append(warnings, fmt.Sprintf("summaryTimeUnit: found %q, want s, ms or us; ignored", unit))
	}
	if o.HTTPDebug != "" && o.HTTPDebug != "headers" && o.HTTPDebug != "full" {
		warnings = append(warnings, fmt.Sprintf("httpDebug: found %q, want headers or full; headers is used", o.HTTPDebug))
	}
	for _, a := range o.TLSAuth {
		if len(a.Domains) > 0 {
			warnings = append(warnings, "tlsAuth: domains is deprecated: certificates are chosen by what the server asks for")
			break
		}
	}
	return warnings
}

func positive(option string, d time.Duration) error {
	if d > 0 {
		return nil
	}
	return fault(option, fmt.Errorf("found %v, want more than 0", d))
}

// resolve checks the parts and fills in what is not set.
func (d DNSLayer) resolve() (DNS, error) {
	out := DNS{TTL: defaultDNSTTL, Select: value(d.Select, defaultDNSSelect), Policy: value(d.Policy, defaultDNSPolicy)}
	if d.TTL != nil {
		switch ttl, err := executor.ParseDuration(*d.TTL); {
		case *d.TTL == "inf":
			out.TTL = -1
		case err != nil || ttl < 0:
			return DNS{}, fmt.Errorf(`ttl: found %q, want a duration, e.g. "5m", "0" or "inf"`, *d.TTL)
		default:
			out.TTL = ttl
		}
	}
	selects := []string{"first", "random", "roundRobin"}
	if !slices.Contains(selects, out.Select) {
		return DNS{}, fmt.Errorf("select: found %q, want one of %s", out.Select, strings.Join(selects, ", "))
	}
	policies := []string{"preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6", "any"}
	if !slices.Contains(policies, out.Policy) {
		return DNS{}, fmt.Errorf("policy: found %q, want one of %s", out.Policy, strings.Join(policies, ", "))
	}
	return out, nil
}

// check reports versions that do not exist and a range that is empty.
func (v TLSVersions) check() error {
	versions := []string{"", "tls1.0", "tls1.1", "tls1.2", "tls1.3"}
	for _, version := range []string{v.Min, v.Max} {
		if !slices.Contains(versions, version) {
			return fmt.Errorf("found %q, want one of %s", version, strings.Join(versions[1:], ", "))
		}
	}
	if v.Min != "" && v.Max != "" && v.Min > v.Max {
		return fmt.Errorf("found min %s above max %s", v.Min, v.Max)
	}
	return nil
}

func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("[%d]: found %q, want an address range, e.g. 10.0.0.0/8", i, text)
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

func checkHosts(hosts map[string]string) error {
	for pattern, target := range hosts {
		if err := checkHostname(pattern); err != nil {
			return err
		}
		if _, err := netip.ParseAddr(target); err == nil {
			continue
		}
		if _, err := netip.ParseAddrPort(target); err != nil {
			return fmt.Errorf("[%q]: found %q, want an address, e.g. 127.0.0.1 or 127.0.0.1:8080", pattern, target)
		}
	}
	return nil
}

func checkHostnames(patterns []string) error {
	for _, p := range patterns {
		if err := checkHostname(p); err != nil {
			return err
		}
	}
	return nil
}

func checkHostname(pattern string) error {
	if rest := strings.TrimPrefix(pattern, "*"); pattern == "" || strings.Contains(rest, "*") ||
		rest != pattern && rest != "" && !strings.HasPrefix(rest, ".") {
		return fmt.Errorf("found %q, want a host name, in which * may only stand for the first labels, e.g. *.example.com", pattern)
	}
	return nil
}

func checkTrendStats(stats []string) error {
	for i, s := range stats {
		if slices.Contains([]string{"avg", "min", "med", "max", "count"}, s) {
			continue
		}
		inner, ok := strings.CutPrefix(s, "p(")
		inner, ok2 := strings.CutSuffix(inner, ")")
		p, err := strconv.ParseFloat(inner, 64)
		if !ok || !ok2 || err != nil || !(p >= 0 && p <= 100) {
			return fmt.Errorf("[%d]: found %q, want avg, min, med, max, count or p(N) with N from 0 to 100", i, s)
		}
	}
	return nil
}
