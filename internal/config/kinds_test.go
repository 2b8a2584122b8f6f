package config_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// Two made-up kinds of providers, which between them have every sort of key.

type north struct {
	BaseURL    providers.BaseURL    `config:"base_url,required"`
	Username   string               `config:"username,required"`
	Password   secret.String        `config:"password,required"`
	Bank       providers.HeaderText `config:"bank"`
	Operations providers.Overrides  `config:"operations"`
}

type south struct {
	BaseURL  providers.BaseURL   `config:"base_url"`
	Name     string              `config:"name,required"`
	Secret   secret.String       `config:"secret,required"`
	Version  version             `config:"version"`
	Colour   colour              `config:"colour"`
	Wait     time.Duration       `config:"wait"`
	Reads    int                 `config:"reads"`
	Fast     bool                `config:"fast"`
	Tags     []tag               `config:"tags"`
	Extra    map[string]language `config:"extra"`
	Identity *identity           `config:"identity"`
}

// Check holds what single keys do not.
func (s *south) Check() error {
	if s.Fast && s.Reads > 100 {
		return providers.Faults{{Key: "reads", Message: "must be at most 100 when fast"}, {Message: "is too fast"}}
	}
	return nil
}

type identity struct {
	CertFile providers.File `config:"cert_file,required"`
	KeyFile  providers.File `config:"key_file,required"`
}

type version string

func (v version) Check() error {
	if _, err := time.Parse(time.DateOnly, string(v)); err != nil {
		return errors.New("must be a date such as 2020-06-16")
	}
	return nil
}

type tag string

func (t tag) Check() error {
	if len(t) > 8 {
		return errors.New("must be short")
	}
	return nil
}

type language string

func (l language) Check() error {
	if len(l) != 2 {
		return errors.New("must be a language such as de")
	}
	return nil
}

// colour reads itself.
type colour int

func (c *colour) UnmarshalText(text []byte) error {
	for i, name := range []string{"red", "green"} {
		if string(text) == name {
			*c = colour(i + 1)
			return nil
		}
	}
	return errors.New("must be red or green")
}

var kinds = []providers.Kind{
	providers.NewKind("north", "North", []providers.Operation{
		{Name: "login", Method: "POST", Path: "/auth", Effect: providers.Idempotent},
		{Name: "read", Method: "GET", Path: "/read/{id}", Effect: providers.Read},
	}, func(context.Context, north, providers.Deps) (*providers.Provider, error) { return nil, nil }),
	providers.NewKind(
		"south",
		"South",
		nil,
		func(context.Context, south, providers.Deps) (*providers.Provider, error) { return nil, nil },
	),
}

// checkStore knows one form of address.
func checkStore(address, _ string) (placed, dataFolder string, err error) {
	if !strings.HasPrefix(address, "sqlite:/var/") {
		return "", "", errors.New("must be sqlite:/var/<path>")
	}
	return address, "", nil
}

// parse parses with the test's kinds, environment and files.
func parse(text string) (*config.Config, config.Problems) {
	return config.Parse("kontor.yaml", []byte(text), config.Options{
		Kinds: kinds, Store: checkStore, Env: env, ReadFile: readFile,
	})
}
