package sandbox

// Finland is the market of people with Finnish accounts.
const Finland = "FI"

// The known people of Finland.
const (
	FinnishGoodID    = "150690-9424" // good data
	FinnishBadID     = "230581-917B" // bad data
	FinnishCompanyID = "2947313-5"   // a limited company
)

var _ = addMarket(market{
	code: Finland, currency: "EUR", priceLevel: 1, dollarRate: "0.92",
	ibanLength: 18, ibanDigits: 11, creditorDigits: 8,
	account: func(bank, digits string) (number, bban string) {
		number = bank + digits[:11]
		return number, number
	},
	nationalID: func(id string) bool { return len(id) == 11 && !isDigit(id[6]) },
	companyID:  func(id string) bool { return len(id) == 9 && id[7] == '-' },

	people: []identity{
		{
			key: "fi-good", first: "Aino", last: "Koskela", name: "Aino Koskela", nationalID: FinnishGoodID,
			quality: Good,
		},
		{key: "fi-bad", first: "Jari", last: "Rantanen", name: "Jari Rantanen", nationalID: FinnishBadID, quality: Bad},
		{key: "fi-company", name: "Saimaan Puutyö Oy", companyID: FinnishCompanyID, company: true, quality: Good},
	},
	firstNames: []string{"Helmi", "Eetu", "Sanni", "Onni", "Venla", "Kalle", "Iida", "Väinö", "Emmi", "Arttu"},
	lastNames: []string{
		"Heikkala", "Niemelä", "Lahtinen", "Aaltonen", "Kivistö", "Peltola", "Mäkitalo", "Hakala", "Salonen",
		"Vuorela",
	},
	companyTrades: []string{"Rakennus", "Muotoilu", "Kauppa", "Konsultointi"},
	companyForm:   "Oy",

	banks: []bankName{
		{"Suomenlahden Pankki", "SULAFIHH", "713"},
		{"Järvi-Säästöpankki", "JASAFIHH", "471"},
		{"Pohjanlahden Osuuspankki", "POHJFIHH", "588"},
	},
	accountNames: map[string]string{
		"current":  "Käyttötili",
		"savings":  "Säästötili",
		"card":     "Luottokortti",
		"depot":    "Osakesäästötili",
		"loan":     "Kulutusluotto",
		"business": "Yritystili",
		"reserve":  "Verovaraus",
		"bizcard":  "Yrityskortti",
		"bizloan":  "Investointilaina",
	},
	phrases: map[string]string{
		"salary":    "Palkka",
		"rent":      "Vuokra",
		"transfer":  "Tilisiirto",
		"cardbill":  "Korttilasku",
		"interest":  "Korko",
		"saving":    "Kuukausisäästö",
		"dividend":  "Osinko",
		"purchase":  "Osto",
		"loan":      "Lainanhoito",
		"payout":    "Lainan nosto",
		"cash":      "Käteisnosto",
		"overdraft": "Ylityskorko",
		"reminder":  "Muistutusmaksu",
		"debt":      "Perintä",
		"invoice":   "Lasku",
		"wages":     "Palkat",
		"tax":       "Vero",
		"fee":       "Kuukausimaksu",
		"split":     "Illallinen puoliksi",
	},

	employers:   []string{"Pohjola Tekniikka Oy", "Itäväylä Logistiikka Oy"},
	landlords:   []string{"Tammi Asunnot Oy", "Lehto Kiinteistöt Oy"},
	grocers:     []string{"Ruokatori Keskusta", "Kulmakauppa", "Marketti Länsi", "Lähiruoka"},
	restaurants: []string{"Ravintola Satama", "Pizzeria Majakka", "Kahvila Lehmus"},
	transports:  []string{"Seutuliikenne", "Pohjoisen Junat", "Huoltoasema Ysitie"},
	insurers:    []string{"Turva-Aalto Vakuutus"},
	telecoms:    []string{"Kaukopuhe Oy"},
	utilities:   []string{"Koskivoima Sähkö"},
	subscribed:  []string{"Streamly", "Sävel Musiikki", "Kuntosali Voima"},
	shops:       []string{"Vaatetalo", "Elektroniikka Nyt", "Huonekalupiha"},
	pharmacies:  []string{"Koivu Apteekki"},
	leisures:    []string{"Elokuvateatteri Tähti", "Uimahalli"},
	friends:     []string{"Sanni Peltola", "Onni Hakala"},
	casinos:     []string{"Pelipalatsi Online", "Ravikertoimet"},
	collectors:  []string{"Saatava Perintä Oy"},
	lenders:     []string{"Pikaeuro"},
	taxOffices:  []string{"Verokonttori"},
	customers: []string{
		"Satamaravintola Oy", "Tammelan Kuntatalo", "Villa Aurinko", "Rakennuskumppanit Oy", "Koivuniemen Koulu",
	},
	suppliers: []string{"Puutavara Oy", "Helatukku", "Konevuokraus", "Maali ja Lakka Oy", "Tilitoimisto Numero"},
})
