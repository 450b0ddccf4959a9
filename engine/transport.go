package engine

import (
	"io"
	"os"

	"hive/engine/httpclient"
	"hive/engine/options"
)

// transport makes what all connections of the run share from its options. The closer, which may be nil, is what keeps
// the secrets of TLS connections.
func transport(o options.Options) (*httpclient.Transport, io.Closer, error) {
	c := httpclient.DefaultConfig()
	c.Hosts, c.BlacklistIPs, c.BlockHostnames = o.Hosts, o.BlacklistIPs, o.BlockHostnames
	c.DNS = httpclient.DNS{TTL: o.DNS.TTL, Select: o.DNS.Select, Policy: o.DNS.Policy}
	c.NoConnectionReuse = o.NoConnectionReuse
	c.MaxIdle, c.MaxIdlePerHost = o.Batch, o.BatchPerHost
	if o.LocalIPs != "" {
		ips, err := httpclient.ParseLocalIPs(o.LocalIPs)
		if err != nil {
			return nil, nil, fail(KindConfig, "localIPs: %w", err)
		}
		c.LocalIPs = ips
	}
	if err := tlsConfig(&c.TLS, o); err != nil {
		return nil, nil, err
	}
	var secrets io.Closer
	if path := os.Getenv("SSLKEYLOGFILE"); path != "" {
		log, err := httpclient.OpenKeyLog(path)
		if err != nil {
			return nil, nil, fail(KindConfig, "SSLKEYLOGFILE: %w", err)
		}
		c.TLS.KeyLog, secrets = log, log
	}
	t, err := httpclient.NewTransport(c)
	if err != nil {
		return nil, nil, &Error{KindConfig, err}
	}
	return t, secrets, nil
}

func tlsConfig(c *httpclient.TLS, o options.Options) (err error) {
	c.InsecureSkipVerify = o.InsecureSkipTLSVerify
	if c.MinVersion, err = tlsVersion("min", o.TLSVersion.Min); err != nil {
		return err
	}
	if c.MaxVersion, err = tlsVersion("max", o.TLSVersion.Max); err != nil {
		return err
	}
	for _, name := range o.TLSCipherSuites {
		id, err := httpclient.ParseCipherSuite(name)
		if err != nil {
			return fail(KindConfig, "tlsCipherSuites: %w", err)
		}
		c.CipherSuites = append(c.CipherSuites, id)
	}
	for i, a := range o.TLSAuth {
		cert, err := httpclient.ParseCertificate([]byte(a.Cert), []byte(a.Key), []byte(a.Password))
		if err != nil {
			return fail(KindConfig, "tlsAuth[%d]: %w", i, err)
		}
		c.Certificates = append(c.Certificates, cert)
	}
	return nil
}

// tlsVersion gives zero, which leaves the choice to the library, for a bound that is not set.
func tlsVersion(bound, name string) (uint16, error) {
	if name == "" {
		return 0, nil
	}
	v, err := httpclient.ParseTLSVersion(name)
	if err != nil {
		return 0, fail(KindConfig, "tlsVersion.%s: %w", bound, err)
	}
	return v, nil
}
