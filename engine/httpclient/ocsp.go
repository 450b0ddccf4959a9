package httpclient

import (
	"crypto/tls"
	"time"

	"golang.org/x/crypto/ocsp"
)

// OCSP is the state of a certificate that a server stapled to it.
type OCSP struct {
	// Status is "good", "revoked", "unknown" or "server_failed".
	Status string
	// RevocationReason is "key_compromise" and the like, empty if not revoked.
	RevocationReason string
	// ProducedAt, ThisUpdate, NextUpdate and RevokedAt are zero when the response does not have them.
	ProducedAt, ThisUpdate, NextUpdate, RevokedAt time.Time
}

var ocspStatus = map[int]string{
	ocsp.Good:         "good",
	ocsp.Revoked:      "revoked",
	ocsp.Unknown:      "unknown",
	ocsp.ServerFailed: "server_failed",
}

var ocspReason = map[int]string{
	ocsp.Unspecified:          "unspecified",
	ocsp.KeyCompromise:        "key_compromise",
	ocsp.CACompromise:         "ca_compromise",
	ocsp.AffiliationChanged:   "affiliation_changed",
	ocsp.Superseded:           "superseded",
	ocsp.CessationOfOperation: "cessation_of_operation",
	ocsp.CertificateHold:      "certificate_hold",
	ocsp.RemoveFromCRL:        "remove_from_crl",
	ocsp.PrivilegeWithdrawn:   "privilege_withdrawn",
	ocsp.AACompromise:         "aa_compromise",
}

// stapled reads the response of the handshake; nil if there is none that can be read.
func stapled(state *tls.ConnectionState) *OCSP {
	if len(state.OCSPResponse) == 0 {
		return nil
	}
	r, err := ocsp.ParseResponse(state.OCSPResponse, nil)
	if err != nil {
		return nil
	}
	o := &OCSP{Status: ocspStatus[r.Status], ProducedAt: r.ProducedAt, ThisUpdate: r.ThisUpdate, NextUpdate: r.NextUpdate}
	if r.Status == ocsp.Revoked {
		o.RevocationReason, o.RevokedAt = ocspReason[r.RevocationReason], r.RevokedAt
	}
	return o
}
