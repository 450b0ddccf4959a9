package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits bound what [Read] takes from an archive.
type Limits struct {
	Bytes int64 // of the whole archive
	Files int   // files and folders in it
}

// DefaultLimits suit archives that people make: data files of some hundred megabytes.
func DefaultLimits() Limits { return Limits{Bytes: 1 << 30, Files: 20_000} }

// maxMetadata is the most that metadata.json may weigh, in bytes.
const maxMetadata = 8 << 20

// endOfTar is how many zero bytes close a tar file.
const endOfTar = 1024

// Read takes an archive that hive or k6 packed, without trusting it. It refuses paths that lead
// out, links (but the one that the format has), devices, files that unpack to more than they weigh,
// duplicates, anything beyond the limits, and archives that were cut or changed.
func Read(r io.Reader, limits Limits) (*Archive, error) {
	in := &meter{r: r, limit: limits.Bytes}
	u := &unpacker{tar: tar.NewReader(in), in: in, limits: limits, seen: map[string]bool{}, files: map[string][]byte{}}
	for {
		err := u.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("archive: read: %w", in.explain(err))
		}
	}
	if err := in.end(); err != nil {
		return nil, fmt.Errorf("archive: read: %w", err)
	}
	a, err := u.archive()
	if err != nil {
		return nil, fmt.Errorf("archive: read: %w", err)
	}
	return a, nil
}

// unpacker gathers the entries of a tar file.
type unpacker struct {
	tar      *tar.Reader
	in       *meter
	limits   Limits
	unpacked int64
	seen     map[string]bool
	metadata []byte
	data     []byte // the entry script
	hasData  bool
	links    []string // URLs of hard links to data
	files    map[string][]byte
}

// next takes one entry. io.EOF means that there is none left.
func (u *unpacker) next() error {
	h, err := u.tar.Next()
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(h.Name, "/")
	if err := checkName(name); err != nil {
		return err
	}
	if u.seen[name] {
		return fmt.Errorf("%q is in the archive twice", name)
	}
	u.seen[name] = true
	if len(u.seen) > u.limits.Files {
		return fmt.Errorf("more than %d files", u.limits.Files)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeLink:
		return u.link(name, h.Linkname)
	case tar.TypeReg:
		return u.regular(name, h.Size)
	}
	return fmt.Errorf("%q is of type %q; an archive has files, folders and one hard link", name, h.Typeflag)
}

func (u *unpacker) link(name, target string) error {
	if target != dataName {
		return fmt.Errorf("%q links to %q; only a hard link to %q is allowed", name, target, dataName)
	}
	url, err := urlName(name)
	if err != nil {
		return err
	}
	u.links = append(u.links, url)
	return nil
}

func (u *unpacker) regular(name string, size int64) error {
	limit := u.limits.Bytes
	if name == metadataName {
		limit = min(limit, maxMetadata)
	}
	if size > limit {
		return fmt.Errorf("%q is of %d bytes; at most %d are allowed", name, size, limit)
	}
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(u.tar, limit+1))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// A plain tar file is larger than what it holds; only sparse entries could unpack to more.
	if u.unpacked += n; u.unpacked > u.in.n {
		return fmt.Errorf("%q unpacks to more than the archive weighs", name)
	}
	return u.keep(name, buf.Bytes())
}

func (u *unpacker) keep(name string, data []byte) error {
	switch name {
	case metadataName:
		u.metadata = data
		return nil
	case dataName:
		u.data, u.hasData = data, true
		return nil
	}
	url, err := urlName(name)
	if err != nil {
		return err
	}
	if _, ok := u.files[url]; ok {
		return fmt.Errorf("%s is in the archive twice", url)
	}
	u.files[url] = data
	return nil
}

// archive puts the entries together.
func (u *unpacker) archive() (*Archive, error) {
	if u.metadata == nil {
		return nil, fmt.Errorf("there is no %s: this is not a test archive", metadataName)
	}
	var m metadata
	if err := json.Unmarshal(u.metadata, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", metadataName, err)
	}
	if m.Type != "js" {
		return nil, fmt.Errorf("the archive holds a test of type %q; only \"js\" is known", m.Type)
	}
	entry, err := tarName(m.Filename)
	if err == nil {
		entry, err = urlName(entry)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: filename: %w", metadataName, err)
	}
	pwd, err := cleanURL(m.Pwd)
	if err != nil {
		return nil, fmt.Errorf("%s: pwd: %w", metadataName, err)
	}
	if err := u.placeEntry(entry); err != nil {
		return nil, err
	}
	return &Archive{
		Options: m.Options, Filename: entry, Pwd: pwd, Env: m.Env, Files: u.files,
		CompatibilityMode: m.CompatibilityMode, K6Version: m.K6Version, GOOS: m.GOOS,
	}, nil
}

// placeEntry puts the entry script where the metadata say that it is.
func (u *unpacker) placeEntry(entry string) error {
	for _, link := range u.links {
		if link != entry {
			return fmt.Errorf("%s is a link, but the entry script is %s", link, entry)
		}
	}
	stored, ok := u.files[entry]
	switch {
	case !ok && !u.hasData:
		return fmt.Errorf("the entry script %s is missing", entry)
	case ok && u.hasData && !bytes.Equal(stored, u.data):
		return fmt.Errorf("the entry script %s differs from %q: the archive was changed", entry, dataName)
	case u.hasData:
		u.files[entry] = u.data
	}
	return nil
}

// meter counts what is read, and how many zero bytes came last.
type meter struct {
	r     io.Reader
	limit int64
	n     int64
	zeros int64
}

var errTooLarge = errors.New("too large")

func (m *meter) Read(p []byte) (int, error) {
	if m.n > m.limit {
		return 0, errTooLarge
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	rest := bytes.TrimRight(p[:n], "\x00")
	if len(rest) > 0 {
		m.zeros = 0
	}
	m.zeros += int64(n - len(rest))
	return n, err
}

// explain names the limit, or the cut, behind an error of reading.
func (m *meter) explain(err error) error {
	switch {
	case errors.Is(err, errTooLarge):
		return fmt.Errorf("the archive is larger than %d bytes", m.limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the archive was cut after %d bytes: %w", m.n, err)
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("at byte %d: this is not a tar file, or it was changed: %w", m.n, err)
	}
	return err
}

// end makes sure that the tar file is closed as it should be, and followed by nothing.
func (m *meter) end() error {
	if m.zeros < endOfTar {
		return fmt.Errorf("the archive was cut after %d bytes: its end is missing", m.n)
	}
	before := m.n - m.zeros
	if _, err := io.Copy(io.Discard, m); err != nil {
		return m.explain(err)
	}
	if m.n-m.zeros != before {
		return errors.New("data follow after the end of the archive")
	}
	return nil
}
