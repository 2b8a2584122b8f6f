package sandbox

// Sweden is the market of people with Swedish accounts.
const Sweden = "SE"

// The known people of Sweden.
const (
	GoodNationalID   = "199503096316" // good data; a test identity of Fimento's documentation
	BadNationalID    = "197710114682" // bad data; a test identity of Fimento's documentation
	ExactNationalID  = "191212121212" // few transactions whose amounts are written in unusual notations
	SwedishCompanyID = "5569876542"   // a limited company
)

var _ = addMarket(market{
	code: Sweden, currency: "SEK", priceLevel: 11, dollarRate: "10.45",
	ibanLength: 24, ibanDigits: 17, creditorDigits: 10,
	account: func(bank, digits string) (number, bban string) {
		number = digits[:11]
		return number, bank + "000000" + number
	},

	people: []identity{
		{
			key: "se-good", first: "Elin", last: "Sandström", name: "Elin Sandström", nationalID: GoodNationalID,
			quality: Good,
		},
		{key: "se-bad", first: "Roger", last: "Wikman", name: "Roger Wikman", nationalID: BadNationalID, quality: Bad},
		{
			key: "exact", first: "Tolvan", last: "Tolvansson", name: "Tolvan Tolvansson", nationalID: ExactNationalID,
			quality: Good,
		},
		{key: "se-company", name: "Vättern Snickeri AB", companyID: SwedishCompanyID, company: true, quality: Good},
	},
	firstNames: []string{"Astrid", "Nils", "Maja", "Oskar", "Saga", "Viktor", "Linnea", "Hugo", "Ebba", "Albin"},
	lastNames: []string{
		"Hedlund", "Åkerman", "Norrby", "Stenvall", "Fridell", "Kullberg", "Lövgren", "Ekdahl", "Rosén",
		"Malmqvist",
	},
	companyTrades: []string{"Bygg", "Design", "Handel", "Konsult"},
	companyForm:   "AB",

	banks: []bankName{
		{"Nordfjäll Bank", "NOFJSESS", "930"},
		{"Mälar Sparbank", "MALASESS", "824"},
		{"Västkustbanken", "VKUSSESG", "951"},
		{"Skåne Folkbank", "SKFOSESM", "847"},
	},
	accountNames: map[string]string{
		"current":  "Lönekonto",
		"savings":  "Sparkonto",
		"card":     "Kreditkort",
		"depot":    "Investeringssparkonto",
		"loan":     "Privatlån",
		"business": "Företagskonto",
		"reserve":  "Skattekonto reserv",
		"bizcard":  "Företagskort",
		"bizloan":  "Investeringslån",
	},
	phrases: map[string]string{
		"salary":    "Lön",
		"rent":      "Hyra",
		"transfer":  "Överföring",
		"cardbill":  "Kortfaktura",
		"interest":  "Ränta",
		"saving":    "Månadsspar",
		"dividend":  "Utdelning",
		"purchase":  "Köp",
		"loan":      "Lånebetalning",
		"payout":    "Låneutbetalning",
		"cash":      "Uttag automat",
		"overdraft": "Övertrasseringsränta",
		"reminder":  "Påminnelseavgift",
		"debt":      "Inkasso",
		"invoice":   "Faktura",
		"wages":     "Löner",
		"tax":       "Skatt",
		"fee":       "Månadsavgift",
		"split":     "Delad middag",
	},

	employers:   []string{"Nordvik Teknik AB", "Sörby Logistik AB"},
	landlords:   []string{"Bostads AB Eken", "Fastighets AB Lunden"},
	grocers:     []string{"Matkassen Söder", "Livs Hörnan", "Storköp Väst", "Kvartersbutiken"},
	restaurants: []string{"Bistro Kajen", "Pizzeria Fyren", "Kafé Linden"},
	transports:  []string{"Länstrafiken Bas", "Tåg i Norr", "Bensinmack Riks 9"},
	insurers:    []string{"Trygga Försäkringar"},
	telecoms:    []string{"Fjärrtal Mobil"},
	utilities:   []string{"Älvkraft El"},
	subscribed:  []string{"Streamly", "Tonfall Musik", "Gym Kraft"},
	shops:       []string{"Klädhuset", "Elektro Nu", "Möbelgården"},
	pharmacies:  []string{"Apotek Björken"},
	leisures:    []string{"Biograf Stjärnan", "Simhallen"},
	friends:     []string{"Sara Ekdahl", "Hugo Rosén"},
	casinos:     []string{"Spelpalatset Online", "Turfodds"},
	collectors:  []string{"Kravbolaget Inkasso"},
	lenders:     []string{"Snabbkronan"},
	taxOffices:  []string{"Skattekontoret"},
	customers: []string{
		"Hamnkrogen AB", "Kommunhuset Ekeby", "Villa Solgläntan", "Byggkompaniet AB", "Skolan Björknäs",
	},
	suppliers: []string{
		"Virke & Trä AB", "Beslag Grossisten", "Maskinuthyrarna", "Lack & Färg AB", "Bokföringsbyrån Siffran",
	},
})
