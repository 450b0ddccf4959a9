package archive

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Names of what an archive holds besides the trees file/ and https/.
const (
	metadataName = "metadata.json"
	dataName     = "data" // the entry script; its place in a tree is a hard link to this
	fileTree     = "file"
	httpsTree    = "https"
)

// tarName gives the place of a URL in an archive, without any escapes, as k6 does: file/abs/path or
// https/host/path?query.
func tarName(rawURL string) (string, error) {
	clean, err := cleanURL(rawURL)
	if err != nil {
		return "", fmt.Errorf("archive: %w", err)
	}
	u, err := url.Parse(clean)
	if err != nil {
		return "", fmt.Errorf("archive: %w", err)
	}
	name := fileTree + u.Path
	if u.Scheme == "https" {
		name = httpsTree + "/" + u.Host + u.Path + plainQuery(u)
	}
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("archive: %s: %w", rawURL, err)
	}
	return name, nil
}

// plainQuery gives a URL's query with its question mark and without escapes.
func plainQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	plain, err := url.PathUnescape(u.RawQuery)
	if err != nil {
		plain = u.RawQuery
	}
	return "?" + plain
}

// urlName gives the URL of a place in an archive. Of the URLs that have the same place it is the one
// with no more escapes than needed.
func urlName(tarName string) (string, error) {
	if err := checkName(tarName); err != nil {
		return "", err
	}
	tree, rest, _ := strings.Cut(tarName, "/")
	switch {
	case tree == fileTree && rest != "":
		return fileURL("/" + rest), nil
	case tree == httpsTree && rest != "":
		where, query, _ := strings.Cut(rest, "?")
		host, file, _ := strings.Cut(where, "/")
		u := url.URL{Scheme: "https", Host: host, Path: "/" + file, RawQuery: (&url.URL{Path: query}).EscapedPath()}
		return cleanURL(u.String())
	}
	return "", fmt.Errorf("%q is not a place in an archive: there are %s, %s, and the trees %s/ and %s/",
		tarName, metadataName, dataName, fileTree, httpsTree)
}

// archived gives the URL that a file has once it was packed and read again.
func archived(rawURL string) string {
	name, err := tarName(rawURL)
	if err != nil {
		return rawURL
	}
	url, err := urlName(name)
	if err != nil {
		return rawURL
	}
	return url
}

// checkName refuses names that could lead out of the archive, or be one file under two names.
func checkName(name string) error {
	clean, _, _ := strings.Cut(name, "?")
	switch {
	case name == "":
		return fmt.Errorf("a file has no name")
	case path.IsAbs(name):
		return fmt.Errorf("the path %q is absolute", name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("the path %q has a zero byte", name)
	case strings.HasPrefix(name, httpsTree+"/") && path.Clean(clean) == clean:
		return nil // ".." in a query is no path
	case path.Clean(name) != name, name == "..", strings.HasPrefix(name, "../"):
		return fmt.Errorf("the path %q is not plain (it has .., . or an empty part)", name)
	}
	return nil
}
