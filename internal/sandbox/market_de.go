package sandbox

// Germany is the market of people with German accounts.
const Germany = "DE"

// The known people of Germany. Persons have no id there: the first with good data is [Population.Default].
const (
	GermanCompanyID   = "HRB 98765"              // a GmbH
	SampleInvalidIBAN = "DE64100200007791587578" // the sample of finoOS's documentation, which fails its own checksum
)

var _ = addMarket(market{
	code: Germany, currency: "EUR", priceLevel: 1, dollarRate: "0.92",
	ibanLength: 22, ibanDigits: 10, creditorDigits: 11,
	account: func(bank, digits string) (number, bban string) {
		number = digits[:10]
		return number, bank + number
	},

	people: []identity{
		{key: "de-good", first: "Torben", last: "Mais", name: "Torben Mais", quality: Good, iban: SampleInvalidIBAN},
		{key: "de-bad", first: "Mirko", last: "Stahnke", name: "Mirko Stahnke", quality: Bad},
		{
			key: "de-company", name: "Elbtischlerei Brandt GmbH", companyID: GermanCompanyID, company: true,
			quality: Good,
		},
	},
	firstNames: []string{
		"Frieda", "Jonas", "Wiebke", "Malte", "Svenja", "Henrik", "Antje", "Bjarne", "Lotte", "Karsten",
	},
	lastNames: []string{
		"Petersen", "Brinkmann", "Lührs", "Claasen", "Detlefsen", "Hinrichs", "Ohlsen", "Voß", "Kröger", "Wendt",
	},
	companyTrades: []string{"Bau", "Gestaltung", "Handel", "Beratung"},
	companyForm:   "GmbH",

	banks: []bankName{
		{"fino Bank", "FINODEKS", "10020000"},
		{"Hanse Kontorbank", "HAKODEHH", "20190033"},
		{"Weserbank", "WESEDEBR", "29050077"},
	},
	accountNames: map[string]string{
		"current":  "Girokonto",
		"savings":  "Tagesgeld",
		"card":     "Kreditkarte",
		"depot":    "Depot",
		"loan":     "Ratenkredit",
		"business": "Geschäftskonto",
		"reserve":  "Steuerrücklage",
		"bizcard":  "Firmenkarte",
		"bizloan":  "Investitionskredit",
	},
	phrases: map[string]string{
		"salary":    "Gehalt",
		"rent":      "Miete",
		"transfer":  "Umbuchung",
		"cardbill":  "Kreditkartenabrechnung",
		"interest":  "Zinsen",
		"saving":    "Sparplan",
		"dividend":  "Dividende",
		"purchase":  "Kauf",
		"loan":      "Kreditrate",
		"payout":    "Auszahlung Kredit",
		"cash":      "Bargeldauszahlung",
		"overdraft": "Überziehungszinsen",
		"reminder":  "Mahngebühr",
		"debt":      "Inkasso",
		"invoice":   "Rechnung",
		"wages":     "Löhne und Gehälter",
		"tax":       "Steuern",
		"fee":       "Kontoführung",
		"split":     "Abendessen geteilt",
	},

	employers:   []string{"Nordwerk Technik GmbH", "Küstenlogistik AG"},
	landlords:   []string{"Wohnbau Eiche eG", "Hausverwaltung Hain"},
	grocers:     []string{"Frischmarkt Nord", "Eckladen Petersen", "Kaufgut Center", "Bioladen Möhre"},
	restaurants: []string{"Bistro am Kai", "Pizzeria Leuchtturm", "Café Linde"},
	transports:  []string{"Verkehrsverbund Küste", "Nordbahn", "Tankhof B5"},
	insurers:    []string{"Deichschutz Versicherung"},
	telecoms:    []string{"Fernton Mobilfunk"},
	utilities:   []string{"Stadtwerke Elbufer"},
	subscribed:  []string{"Streamly", "Klangwelt Musik", "Fitness Kraftraum"},
	shops:       []string{"Modehaus Brandt", "Elektro Jetzt", "Möbelhof"},
	pharmacies:  []string{"Birken-Apotheke"},
	leisures:    []string{"Kino Stern", "Schwimmhalle"},
	friends:     []string{"Antje Voß", "Malte Wendt"},
	casinos:     []string{"Spielpalast Online", "Rennquote"},
	collectors:  []string{"Forderungskontor Inkasso"},
	lenders:     []string{"Blitzkredit"},
	taxOffices:  []string{"Finanzkasse Elbe"},
	customers: []string{
		"Hafenrestaurant GmbH", "Gemeinde Eichdorf", "Seniorenhaus Sonnenhof", "Baukompanie GmbH",
		"Schule Birkenweg",
	},
	suppliers: []string{
		"Holzhandel Lüneburg", "Beschläge Großhandel", "Maschinenverleih Weser", "Lacke & Farben KG",
		"Steuerkanzlei Ziffer",
	},
})
