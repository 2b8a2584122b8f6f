package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	manager "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	previous "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// validated is what Envoy's messages check by themselves.
type validated interface{ ValidateAll() error }

func envoy(text string) (*bootstrap.Bootstrap, error) {
	asJSON, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, err
	}
	config := &bootstrap.Bootstrap{}
	if err := protojson.Unmarshal(asJSON, config); err != nil { // which refuses what it does not know, also within Any
		return nil, err
	}
	return config, config.ValidateAll()
}

// within gives what an Any holds, validated.
func within[T validated](t *testing.T, any *anypb.Any) T {
	t.Helper()
	message, err := any.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := message.(T)
	if !ok {
		t.Fatalf("it is a %T", message)
	}
	if err := typed.ValidateAll(); err != nil {
		t.Error(err)
	}
	return typed
}

// TestEnvoy holds the example to Envoy's own messages, and to what streams and trusted_proxies need. Envoy itself does
// not run here.
func TestEnvoy(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "envoy", "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := envoy(string(text))
	if err != nil {
		t.Fatal(err)
	}
	chain := config.GetStaticResources().GetListeners()[0].GetFilterChains()[0]
	within[*tls.DownstreamTlsContext](t, chain.GetTransportSocket().GetTypedConfig())
	http := within[*manager.HttpConnectionManager](t, chain.GetFilters()[0].GetTypedConfig())
	if !http.GetUseRemoteAddress().GetValue() {
		t.Error("X-Forwarded-For is as the caller says")
	}
	clusters := map[string]bool{}
	for _, c := range config.GetStaticResources().GetClusters() {
		clusters[c.GetName()] = true
		if c.GetLbPolicy() != cluster.Cluster_LEAST_REQUEST || len(c.GetHealthChecks()) != 1 {
			t.Errorf("%s: gateways are chosen by %v, with %d checks", c.GetName(), c.GetLbPolicy(),
				len(c.GetHealthChecks()))
		}
		options := c.GetTypedExtensionProtocolOptions()["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
		if options != nil {
			within[*upstream.HttpProtocolOptions](t, options)
		}
		if (options != nil) != strings.HasSuffix(c.GetName(), "grpc") {
			t.Errorf("%s: HTTP/2 is %v", c.GetName(), options != nil)
		}
	}
	for _, route := range http.GetRouteConfig().GetVirtualHosts()[0].GetRoutes() {
		action := route.GetRoute()
		if !clusters[action.GetCluster()] {
			t.Errorf("there is no cluster %s", action.GetCluster())
		}
		if action.GetTimeout() == nil || action.GetTimeout().AsDuration() != 0 {
			t.Errorf("%s: streams would end: %v", action.GetCluster(), action)
		}
		retry := action.GetRetryPolicy()
		if retry.GetRetryOn() != "connect-failure,refused-stream" {
			t.Errorf("%s: writes would be repeated, or what reached nobody is not: %v", action.GetCluster(), action)
		}
		within[*previous.PreviousHostsPredicate](t, retry.GetRetryHostPredicate()[0].GetTypedConfig())
	}
	for name, wrong := range map[string]string{
		"unknown":       strings.Replace(string(text), "use_remote_address", "use_remote_addresses", 1),
		"unknown below": strings.Replace(string(text), "alpn_protocols", "alpn", 1),
		"invalid":       strings.Replace(string(text), "connect_timeout: 5s", "connect_timeout: 0s", 1),
	} {
		if _, err := envoy(wrong); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
