package fimento

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

func TestOperationsAreThoseOfTheContract(t *testing.T) {
	const (
		doc, hi, med, low = providers.Documented, providers.InferredHi, providers.InferredMed,
			providers.InferredLow
		read, idempotent, creating = providers.Read, providers.Idempotent, providers.Creating
	)
	want := map[string]struct {
		standing providers.Standing
		effect   providers.Effect
	}{
		"login": {low, idempotent}, "create_partner_bank": {med, creating}, "list_partner_banks": {med, read},
		"update_partner_bank": {low, idempotent},
		"create_process":      {hi, creating}, "new_consent_link": {doc, idempotent},
		"new_consent_flow": {doc, idempotent},
		"get_process":      {hi, read},
		"delete_process":   {hi, idempotent}, "add_webhook": {low, idempotent}, "test_decision": {low, idempotent},
		"visualisation_link": {low, read},
		"insights":           {low, read}, "transactions": {low, read},
	}
	operations := Operations()
	if len(operations) != len(contract) {
		t.Errorf("there are %d operations, want %d", len(operations), len(contract))
	}
	for _, op := range operations {
		i := slices.IndexFunc(contract, func(row documented) bool { return row.operation == op.Name })
		if i < 0 {
			t.Errorf("%s is not in the contract", op.Name)
			continue
		}
		row := contract[i]
		got := fmt.Sprint(op.Method, " ", op.Path, " ", op.Standing, " ", op.Effect)
		if want := fmt.Sprint(row.method, " ", row.path, " ", want[op.Name].standing, " ",
			want[op.Name].effect); got != want {
			t.Errorf("%s is %s, want %s", op.Name, got, want)
		}
	}
}

func TestProviderSaysWhatItIs(t *testing.T) {
	p := newFake(t).provider()
	if p.ID != "fimento" || p.DisplayName != "Fimento" || p.ConsentOrigin.String() != "NATIVE" || p.OneConsentPerUser {
		t.Errorf("it says %q %q %s %v", p.ID, p.DisplayName, p.ConsentOrigin, p.OneConsentPerUser)
	}
	if len(p.Markets) != 2 || p.Market("SE").CurrencyCode != "SEK" || p.Market("FI").CurrencyCode != "EUR" {
		t.Errorf("its markets are %v", p.Markets)
	}
	if p.Users != nil || p.Connections != nil || p.Importer != nil || p.Holdings != nil || p.PaymentPartners != nil ||
		p.Logos != nil || p.Shipments != nil {
		t.Error("it has a port of finoOS's")
	}
	if p.Session == nil || p.Consents == nil || p.Simulator == nil || p.PartnerBanks == nil || p.Webhooks == nil ||
		p.Accounts == nil || p.Insights == nil ||
		p.Visualizations == nil {
		t.Error("it lacks a port")
	}
	unsupported := []providers.Capability{
		"SyncConnection", "DeleteConnection", "CreateManagementSession", "ImportConnections", "ListStandingOrders",
		"ListSecurities",
		"GetPaymentPartnerAnalysis", "SearchCompanyLogos", "CreateShipment", "GetShipment", "ListShipments",
		"WatchShipments", "ListProviderUsers", "DeleteProviderUser",
	}
	emulated := []providers.Capability{
		"CreateCustomer", "UpdateCustomer", "DeleteCustomer", "ListConsentEvents", "WatchConsents", "GetPartnerBank",
	}
	for _, capability := range providers.AllCapabilities {
		want := providers.Native
		switch {
		case slices.Contains(unsupported, capability):
			want = providers.Unsupported
		case slices.Contains(emulated, capability):
			want = providers.Emulated
		}
		got := p.Supports(capability)
		if got.Level != want || (got.Reason == "") != (want == providers.Native) {
			t.Errorf("%s is %v (%q), want %v", capability, got.Level, got.Reason, want)
		}
	}
	for capability := range p.Capabilities {
		if !slices.Contains(providers.AllCapabilities, capability) {
			t.Errorf("%s is no capability", capability)
		}
	}
}

func TestConfigErrorsNameTheKeyAndNotTheValue(t *testing.T) {
	const canary = "canary-4711"
	good := Config{BaseURL: "https://api.example/v1", Username: "u", Password: secret.New("p")}
	for name, tc := range map[string]struct {
		change func(*Config)
		key    string
	}{
		"good":              {func(*Config) {}, ""},
		"no base URL":       {func(c *Config) { c.BaseURL = "" }, "base_url: is missing"},
		"relative base URL": {func(c *Config) { c.BaseURL = "/" + canary }, "base_url"},
		"user in base URL":  {func(c *Config) { c.BaseURL = "https://" + canary + "@api.example" }, "base_url"},
		"no username":       {func(c *Config) { c.Username = " " }, "username"},
		"no password":       {func(c *Config) { c.Password = secret.String{} }, "password"},
		"bad partner bank":  {func(c *Config) { c.PartnerBank = canary + "\r\nX: y" }, "partner_bank"},
		"unknown operation": {
			func(c *Config) { c.Operations = providers.Overrides{"login2": "POST /" + canary} }, "operations.login2",
		},
		"bad operation": {
			func(c *Config) { c.Operations = providers.Overrides{"login": canary} }, "operations.login",
		},
		"lost parameter": {
			func(c *Config) { c.Operations = providers.Overrides{"insights": "GET /" + canary} }, "operations.insights",
		},
		"status in query": {
			func(c *Config) { c.Operations = providers.Overrides{"test_decision": "POST /p/{processId}/test"} }, "",
		},
	} {
		cfg := good
		tc.change(&cfg)
		_, err := Kind.With(cfg).Open(context.Background(), providers.Deps{})
		switch {
		case tc.key == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.key != "" && (err == nil || !strings.Contains(err.Error()+":", tc.key)):
			t.Errorf("%s: the error is %v, want one that names %s", name, err, tc.key)
		case err != nil && strings.Contains(err.Error(), canary):
			t.Errorf("%s: the error quotes the value: %v", name, err)
		}
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	cfg := Config{BaseURL: "https://api.example", Username: "u", Password: secret.New("canary-4711")}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("configured", "config", cfg)
	logger.Info("configured", "config", &cfg)
	printed := log.String() + fmt.Sprintf("%v %+v %#v %v %#v", cfg, cfg, cfg, &cfg, &cfg)
	if strings.Contains(printed, cfg.Password.Reveal()) {
		t.Errorf("the password is in %s", printed)
	}
}
