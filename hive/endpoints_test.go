package hive

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestCheckEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"127.0.0.1:2379":              "",
		"http://etcd.example:2379":    "",
		"http://[::1]:2379/":          "",
		"https://127.0.0.1:2379":      "without TLS",
		"http://u:secret@127.0.0.1:1": "no user and password",
		"u:secret@127.0.0.1:1":        "no user and password",
		"ftp://127.0.0.1:1":           "want host:port",
		"unix:///run/etcd":            "want host:port",
		"etcd":                        "want host:port",
		"http://":                     "want host:port",
		":2379":                       "want host:port",
		"127.0.0.1:99999":             "from 1 to 65535",
		"127.0.0.1:1/x":               "is not a number",
	} {
		err := checkEndpoints([]string{"127.0.0.1:2379", endpoint})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", endpoint, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is shown: %v", endpoint, err)
		}
	}
}

// Who names an etcd that this node cannot speak to is told what is there.
func TestEtcdThatCannotBeSpokenTo(t *testing.T) {
	t.Parallel()
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	web, secure := httptest.NewServer(nothing), httptest.NewUnstartedServer(nothing)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(secure.Close)
	guarded, _ := startStore(t)
	c, err := clientv3.New(clientv3.Config{Endpoints: guarded})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	_, userErr := c.UserAdd(ctx, "root", "secret")
	_, roleErr := c.UserGrantRole(ctx, "root", "root")
	_, onErr := c.AuthEnable(ctx)
	if userErr != nil || roleErr != nil || onErr != nil {
		t.Fatal(userErr, roleErr, onErr)
	}
	for name, tt := range map[string]struct{ endpoint, want string }{
		"TLS":        {secure.Listener.Addr().String(), "speaks TLS"},
		"no etcd":    {web.Listener.Addr().String(), "no etcd answers there"},
		"not there":  {freeAddress(t), "is not reached"},
		"a password": {guarded[0], "asks for a user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := New(Config{Etcd: []string{tt.endpoint}, Address: "127.0.0.1:0", Factory: (&script{}).factory("x")})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
