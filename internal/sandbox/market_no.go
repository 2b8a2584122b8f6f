package sandbox

// Norway is the market of people with Norwegian accounts. Their provider asks for no id, so nobody is known by one.
const Norway = "NO"

var _ = addMarket(market{
	code: Norway, currency: "NOK", priceLevel: 12, dollarRate: "10.8",
	ibanLength: 15, ibanDigits: 7, creditorDigits: 9,
	account: func(bank, digits string) (number, bban string) {
		number = bank + digits[:7]
		return number, number
	},

	people: []identity{
		{key: "no-good", first: "Ingrid", last: "Solvik", name: "Ingrid Solvik", quality: Good},
		{key: "no-bad", first: "Odd", last: "Myrvang", name: "Odd Myrvang", quality: Bad},
		{key: "no-company", name: "Fjellvann Snekkeri AS", company: true, quality: Good},
	},
	firstNames: []string{
		"Solveig", "Håkon", "Tiril", "Sondre", "Ragnhild", "Eirik", "Sunniva", "Leif", "Marte", "Ivar",
	},
	lastNames: []string{
		"Bakkehaug", "Nordgård", "Strandli", "Åsheim", "Tveitan", "Hovland", "Rønning", "Kleivane", "Myrseth",
		"Lyngstad",
	},
	companyTrades: []string{"Bygg", "Design", "Handel", "Rådgivning"},
	companyForm:   "AS",

	banks: []bankName{
		{"Skarvholm Sparebank", "SKARNO22", "9710"},
		{"Tindeby Sparebank", "TINDNO22", "9724"},
		{"Lofthus Folkebank", "LOFTNO22", "9738"},
	},
	accountNames: map[string]string{
		"current":  "Brukskonto",
		"savings":  "Sparekonto",
		"card":     "Kredittkort",
		"depot":    "Aksjesparekonto",
		"loan":     "Forbrukslån",
		"business": "Bedriftskonto",
		"reserve":  "Skattetrekk",
		"bizcard":  "Bedriftskort",
		"bizloan":  "Investeringslån",
	},
	phrases: map[string]string{
		"salary":    "Lønn",
		"rent":      "Husleie",
		"transfer":  "Overføring",
		"cardbill":  "Kortregning",
		"interest":  "Renter",
		"saving":    "Månedssparing",
		"dividend":  "Utbytte",
		"purchase":  "Kjøp",
		"loan":      "Låneavdrag",
		"payout":    "Utbetaling av lån",
		"cash":      "Uttak minibank",
		"overdraft": "Overtrekksrente",
		"reminder":  "Purregebyr",
		"debt":      "Inkasso",
		"invoice":   "Faktura",
		"wages":     "Lønninger",
		"tax":       "Skatt",
		"fee":       "Månedsgebyr",
		"split":     "Delt middag",
	},

	employers:   []string{"Nordhav Teknikk AS", "Vestvei Logistikk AS"},
	landlords:   []string{"Eika Utleie AS", "Lunden Eiendom AS"},
	grocers:     []string{"Matkroken Sentrum", "Hjørnebutikken", "Storkjøp Vest", "Nærmat"},
	restaurants: []string{"Bistro Brygga", "Pizzeria Fyret", "Kafé Linden"},
	transports:  []string{"Fylkestrafikken", "Tog i Nord", "Bensinstasjon Riksvei 9"},
	insurers:    []string{"Trygghav Forsikring"},
	telecoms:    []string{"Fjerntale Mobil"},
	utilities:   []string{"Fossekraft Strøm"},
	subscribed:  []string{"Streamly", "Tonefall Musikk", "Treningssenter Kraft"},
	shops:       []string{"Klesbua", "Elektro Nå", "Møbelgården"},
	pharmacies:  []string{"Apotek Bjørka"},
	leisures:    []string{"Kino Stjernen", "Svømmehallen"},
	friends:     []string{"Tiril Strandli", "Leif Hovland"},
	casinos:     []string{"Spillpalasset Online", "Travodds"},
	collectors:  []string{"Kravbyrået Inkasso"},
	lenders:     []string{"Kjappkrona"},
	taxOffices:  []string{"Skattekontoret"},
	customers: []string{
		"Havnekroa AS", "Ekeby Rådhus", "Villa Solgløtt", "Byggkompaniet AS", "Bjørkenes Skole",
	},
	suppliers: []string{
		"Trelast og Mer AS", "Beslaggrossisten", "Maskinutleierne", "Lakk og Farge AS", "Regnskapsbyrået Sifferet",
	},
})
