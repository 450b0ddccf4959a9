package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/user"

	"github.com/urfave/cli/v2"

	"hive/archive"
	"hive/hive"
)

// client is a client of the hive that --remote names. The caller closes it.
func (a *app) client(c *cli.Context) (*hive.Client, error) {
	client, err := hive.NewClient(c.String("remote"), c.String("token"))
	if err != nil {
		return nil, usageError("--remote: %w", err)
	}
	return client, nil
}

// ask has do ask something of the hive that --remote names, until the user's Ctrl-C.
func (a *app) ask(c *cli.Context, do func(ctx context.Context, client *hive.Client) error) error {
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := interruptible(c.Context, a.leave)
	defer stop()
	return interruptedError(ctx, do(ctx, client))
}

// submit hands the job to the hive and returns the run's id.
func submit(ctx context.Context, client *hive.Client, j job) (string, error) {
	a, err := j.Script.Archive(j.Options)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	if err := archive.Pack(&packed, a); err != nil {
		return "", fmt.Errorf("pack the test: %w", err)
	}
	encoded, err := j.Options.MarshalJSON()
	if err != nil {
		return "", fmt.Errorf("options: %w", err)
	}
	info, err := client.Submit(ctx, packed.Bytes(), hive.Submission{
		Name: j.Name, Options: encoded, Flags: j.Flags, Submitter: submitter(),
	})
	return info.ID, err
}

// submitter is who submits a run, for the people who share a hive: user@host, as far as they are known.
func submitter() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
