package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

var composed = filepath.Join(root, "deploy", "compose")

func project(t *testing.T, env types.Mapping) (*types.Project, error) {
	t.Helper()
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: composed, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(composed, "compose.yaml")}},
	})
}

// TestCompose holds the compose file to Compose's own schema, and the gateway to its configuration.
func TestCompose(t *testing.T) {
	const hash = "d92634c17b42ec266ed559bb5845161c60b887960a3c933f4b24526d237997ec"
	storeKey := newStoreKey(t)
	env := types.Mapping{"KONTOR_STORE_KEY": storeKey, "KONTOR_CLIENT_SHA256": hash}
	loaded, err := project(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(loaded.ServiceNames(), []string{"kontor", "providers"}) {
		t.Errorf("services %v", loaded.ServiceNames())
	}
	for name, service := range loaded.Services {
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) ||
			!slices.Contains(service.SecurityOpt, "no-new-privileges:true") || service.Privileged || service.User == "root" {
			t.Errorf("%s may do too much: %+v", name, service)
		}
		if len(service.Ports) > 0 { // the played providers ask nobody who they are
			t.Errorf("%s is published to other machines", name)
		}
	}
	kontor := loaded.Services["kontor"]
	if kontor.Image != "localhost/kontor:latest" || *kontor.Environment["KONTOR_CLIENT_SHA256"] != hash {
		t.Errorf("%+v", kontor)
	}
	for _, missing := range []string{"KONTOR_STORE_KEY", "KONTOR_CLIENT_SHA256"} {
		less := types.Mapping{}
		for name, value := range env {
			if name != missing {
				less[name] = value
			}
		}
		if _, err := project(t, less); err == nil {
			t.Errorf("starts without %s", missing)
		}
	}
	text, err := os.ReadFile(filepath.Join(composed, "kontor.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := checked(t, string(text), nil, "KONTOR_STORE_KEY="+storeKey, "KONTOR_CLIENT_SHA256="+hash)
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
