package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

var composed = filepath.Join(root, "deploy", "compose")

// project loads files of deploy/compose as Compose does, each over the one before.
func project(t *testing.T, env types.Mapping, files ...string) (*types.Project, error) {
	t.Helper()
	var configs []types.ConfigFile
	for _, file := range files {
		configs = append(configs, types.ConfigFile{Filename: filepath.Join(composed, file)})
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: composed, Environment: env, ConfigFiles: configs,
	})
}

// TestCompose holds the compose files to Compose's own schema, and the gateways to their configuration.
func TestCompose(t *testing.T) {
	const hash = "d92634c17b42ec266ed559bb5845161c60b887960a3c933f4b24526d237997ec"
	env := types.Mapping{
		"KONTOR_STORE_KEY": newStoreKey(t), "KONTOR_CLIENT_SHA256": hash, "KONTOR_POSTGRES_PASSWORD": "secret",
	}
	for _, test := range []struct {
		files, services, gateways, needs []string
		// images are those of other makers.
		images map[string]string
	}{
		{
			files: []string{"compose.yaml"}, services: []string{"kontor", "providers"}, gateways: []string{"kontor"},
			needs: []string{"KONTOR_STORE_KEY", "KONTOR_CLIENT_SHA256"},
		},
		{
			files:    []string{"compose.yaml", "replicas.yaml"},
			services: []string{"kontor", "kontor-2", "postgres", "providers", "proxy"},
			gateways: []string{"kontor", "kontor-2"},
			needs:    []string{"KONTOR_STORE_KEY", "KONTOR_CLIENT_SHA256", "KONTOR_POSTGRES_PASSWORD"},
			images:   map[string]string{"postgres": "postgres:17", "proxy": "haproxy:3.2"},
		},
	} {
		t.Run(strings.Join(test.files, ", "), func(t *testing.T) {
			loaded, err := project(t, env, test.files...)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(loaded.ServiceNames(), test.services) {
				t.Errorf("services %v", loaded.ServiceNames())
			}
			for name, service := range loaded.Services {
				// PostgreSQL's image begins as root, to take its volume over.
				if name != "postgres" && (!service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"})) ||
					!slices.Contains(service.SecurityOpt, "no-new-privileges:true") ||
					service.Privileged || service.User == "root" {
					t.Errorf("%s may do too much: %+v", name, service)
				}
				if len(service.Ports) > 0 { // the played providers ask nobody who they are
					t.Errorf("%s is published to other machines", name)
				}
				if want := cmp.Or(test.images[name], "localhost/kontor:latest"); service.Image != want {
					t.Errorf("%s is %s, want %s", name, service.Image, want)
				}
			}
			listens := map[string]string{}
			for _, name := range test.gateways {
				takes(t, loaded.Services[name], listens)
			}
			if len(test.images) > 0 {
				proxied(t, loaded, test.gateways)
			}
			for _, missing := range test.needs {
				less := maps.Clone(env)
				delete(less, missing)
				if _, err := project(t, less, test.files...); err == nil {
					t.Errorf("starts without %s", missing)
				}
			}
		})
	}
}

// takes demands that the gateway takes the configuration that a service has, and that nobody else in listens has the
// addresses that it listens on, which all are this machine's own.
func takes(t *testing.T, service types.ServiceConfig, listens map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(composed, "kontor.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for name, value := range service.Environment {
		env = append(env, name+"="+*value)
	}
	if out, err := checked(t, string(text), nil, env...); err != nil {
		t.Errorf("%s: %v: %s", service.Name, err, out)
	}
	for _, name := range []string{"KONTOR_GRPC", "KONTOR_HTTP", "KONTOR_ADMIN"} {
		at := *service.Environment[name]
		if listens[at] != "" || !strings.HasPrefix(at, "127.0.0.1:") {
			t.Errorf("%s listens on %s, as %q does", service.Name, at, listens[at])
		}
		listens[at] = service.Name
	}
	admin := *service.Environment["KONTOR_ADMIN"]
	if admin != "127.0.0.1:8081" && !slices.Contains(service.HealthCheck.Test, admin) { // which the image asks
		t.Errorf("%s is asked for its health at %v", service.Name, service.HealthCheck.Test)
	}
}

// proxied demands that the proxy has the addresses of both gateways, and listens where one alone does.
func proxied(t *testing.T, loaded *types.Project, gateways []string) {
	t.Helper()
	proxy := loaded.Services["proxy"].Environment
	first, err := project(t, types.Mapping{"KONTOR_STORE_KEY": "a", "KONTOR_CLIENT_SHA256": "b"}, "compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"GRPC", "HTTP"} {
		alone := first.Services["kontor"].Environment
		if got, want := *proxy["KONTOR_BIND_"+name], *alone["KONTOR_"+name]; got != want {
			t.Errorf("the proxy listens on %s, want %s", got, want)
		}
	}
	for i, gateway := range gateways {
		of := ""
		if i > 0 {
			of = fmt.Sprintf("_%d", i+1)
		}
		at := loaded.Services[gateway].Environment
		if *proxy["KONTOR_GRPC"+of] != *at["KONTOR_GRPC"] || *proxy["KONTOR_HTTP"+of] != *at["KONTOR_HTTP"] ||
			"127.0.0.1:"+*proxy["KONTOR_ADMIN_PORT"+of] != *at["KONTOR_ADMIN"] {
			t.Errorf("the proxy looks for %s elsewhere than at %v", gateway, at)
		}
	}
	store := loaded.Services["postgres"]
	address, err := url.Parse(*loaded.Services["kontor"].Environment["KONTOR_STORE"])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(store.Command, "port="+address.Port()) ||
		!slices.Contains(store.Command, "listen_addresses="+address.Hostname()) ||
		address.User.Username() != *store.Environment["POSTGRES_USER"] {
		t.Errorf("the gateways look for PostgreSQL at %s: %v", address.Redacted(), store)
	}
}
