package sandbox

// The words of the population: who lives there, which banks there are, where money goes. All invented. Every list
// has one column per market, in the order of markets, so that a person dressed for another market makes the same
// movements under other names.

var markets = [...]string{Sweden, Finland, Germany}

var currencies = [...]string{"SEK", "EUR", "EUR"}

// priceLevels turn amounts that are drawn in euro cents into the market's currency.
var priceLevels = [...]Minor{11, 1, 1}

// dollarRates are the market's currency for one US dollar.
var dollarRates = [...]string{"10.45", "0.92", "0.92"}

type words [len(markets)]string

// identity is who somebody is, before any market gives them accounts.
type identity struct {
	key                   string
	first, last, name     string
	nationalID, companyID string
	company               bool
	quality               string
	home                  string
}

var identities = []identity{
	{key: "se-good", first: "Elin", last: "Sandström", name: "Elin Sandström", nationalID: GoodNationalID, quality: Good, home: Sweden},
	{key: "se-bad", first: "Roger", last: "Wikman", name: "Roger Wikman", nationalID: BadNationalID, quality: Bad, home: Sweden},
	{key: "exact", first: "Tolvan", last: "Tolvansson", name: "Tolvan Tolvansson", nationalID: ExactNationalID, quality: Good, home: Sweden},
	{key: "fi-good", first: "Aino", last: "Koskela", name: "Aino Koskela", nationalID: FinnishGoodID, quality: Good, home: Finland},
	{key: "fi-bad", first: "Jari", last: "Rantanen", name: "Jari Rantanen", nationalID: FinnishBadID, quality: Bad, home: Finland},
	{key: "de-good", first: "Torben", last: "Mais", name: "Torben Mais", quality: Good, home: Germany},
	{key: "de-bad", first: "Mirko", last: "Stahnke", name: "Mirko Stahnke", quality: Bad, home: Germany},
	{key: "se-company", name: "Vättern Snickeri AB", companyID: SwedishCompanyID, company: true, quality: Good, home: Sweden},
	{key: "fi-company", name: "Saimaan Puutyö Oy", companyID: FinnishCompanyID, company: true, quality: Good, home: Finland},
	{key: "de-company", name: "Elbtischlerei Brandt GmbH", companyID: GermanCompanyID, company: true, quality: Good, home: Germany},
}

var firstNames = [len(markets)][]string{
	{"Astrid", "Nils", "Maja", "Oskar", "Saga", "Viktor", "Linnea", "Hugo", "Ebba", "Albin"},
	{"Helmi", "Eetu", "Sanni", "Onni", "Venla", "Kalle", "Iida", "Väinö", "Emmi", "Arttu"},
	{"Frieda", "Jonas", "Wiebke", "Malte", "Svenja", "Henrik", "Antje", "Bjarne", "Lotte", "Karsten"},
}

var lastNames = [len(markets)][]string{
	{"Hedlund", "Åkerman", "Norrby", "Stenvall", "Fridell", "Kullberg", "Lövgren", "Ekdahl", "Rosén", "Malmqvist"},
	{"Heikkala", "Niemelä", "Lahtinen", "Aaltonen", "Kivistö", "Peltola", "Mäkitalo", "Hakala", "Salonen", "Vuorela"},
	{"Petersen", "Brinkmann", "Lührs", "Claasen", "Detlefsen", "Hinrichs", "Ohlsen", "Voß", "Kröger", "Wendt"},
}

var companyTrades = []words{
	{"Bygg", "Rakennus", "Bau"},
	{"Design", "Muotoilu", "Gestaltung"},
	{"Handel", "Kauppa", "Handel"},
	{"Konsult", "Konsultointi", "Beratung"},
}

var companyForms = words{"AB", "Oy", "GmbH"}

type bankName struct{ name, bic, code string }

var bankNames = [len(markets)][]bankName{
	{
		{"Nordfjäll Bank", "NOFJSESS", "930"},
		{"Mälar Sparbank", "MALASESS", "824"},
		{"Västkustbanken", "VKUSSESG", "951"},
		{"Skåne Folkbank", "SKFOSESM", "847"},
	},
	{
		{"Suomenlahden Pankki", "SULAFIHH", "713"},
		{"Järvi-Säästöpankki", "JASAFIHH", "471"},
		{"Pohjanlahden Osuuspankki", "POHJFIHH", "588"},
	},
	{
		{"fino Bank", "FINODEKS", "10020000"},
		{"Hanse Kontorbank", "HAKODEHH", "20190033"},
		{"Weserbank", "WESEDEBR", "29050077"},
	},
}

// foreign are the countries of partners abroad, with the shape of the national part of their account numbers: what
// it begins with and how many digits follow.
var foreign = []struct {
	country, prefix string
	digits          int
	bic             string
}{
	{"AT", "", 16, "DONAATWW"},
	{"NL", "POLD", 10, "POLDNL2A"},
	{"DK", "", 14, "ORESDKKK"},
	{"EE", "", 16, "BALTEE2X"},
}

var accountNames = map[string]words{
	"current":  {"Lönekonto", "Käyttötili", "Girokonto"},
	"savings":  {"Sparkonto", "Säästötili", "Tagesgeld"},
	"card":     {"Kreditkort", "Luottokortti", "Kreditkarte"},
	"depot":    {"Investeringssparkonto", "Osakesäästötili", "Depot"},
	"loan":     {"Privatlån", "Kulutusluotto", "Ratenkredit"},
	"business": {"Företagskonto", "Yritystili", "Geschäftskonto"},
	"reserve":  {"Skattekonto reserv", "Verovaraus", "Steuerrücklage"},
	"bizcard":  {"Företagskort", "Yrityskortti", "Firmenkarte"},
	"bizloan":  {"Investeringslån", "Investointilaina", "Investitionskredit"},
}

// The phrases that stand before a name in a transaction's description.
var phrases = map[string]words{
	"salary":    {"Lön", "Palkka", "Gehalt"},
	"rent":      {"Hyra", "Vuokra", "Miete"},
	"transfer":  {"Överföring", "Tilisiirto", "Umbuchung"},
	"cardbill":  {"Kortfaktura", "Korttilasku", "Kreditkartenabrechnung"},
	"interest":  {"Ränta", "Korko", "Zinsen"},
	"saving":    {"Månadsspar", "Kuukausisäästö", "Sparplan"},
	"dividend":  {"Utdelning", "Osinko", "Dividende"},
	"purchase":  {"Köp", "Osto", "Kauf"},
	"loan":      {"Lånebetalning", "Lainanhoito", "Kreditrate"},
	"payout":    {"Låneutbetalning", "Lainan nosto", "Auszahlung Kredit"},
	"cash":      {"Uttag automat", "Käteisnosto", "Bargeldauszahlung"},
	"overdraft": {"Övertrasseringsränta", "Ylityskorko", "Überziehungszinsen"},
	"reminder":  {"Påminnelseavgift", "Muistutusmaksu", "Mahngebühr"},
	"debt":      {"Inkasso", "Perintä", "Inkasso"},
	"invoice":   {"Faktura", "Lasku", "Rechnung"},
	"wages":     {"Löner", "Palkat", "Löhne und Gehälter"},
	"tax":       {"Skatt", "Vero", "Steuern"},
	"fee":       {"Månadsavgift", "Kuukausimaksu", "Kontoführung"},
	"split":     {"Delad middag", "Illallinen puoliksi", "Abendessen geteilt"},
}

// Where money comes from and goes to, by category.
var (
	employers    = []words{{"Nordvik Teknik AB", "Pohjola Tekniikka Oy", "Nordwerk Technik GmbH"}, {"Sörby Logistik AB", "Itäväylä Logistiikka Oy", "Küstenlogistik AG"}}
	landlords    = []words{{"Bostads AB Eken", "Tammi Asunnot Oy", "Wohnbau Eiche eG"}, {"Fastighets AB Lunden", "Lehto Kiinteistöt Oy", "Hausverwaltung Hain"}}
	grocers      = []words{{"Matkassen Söder", "Ruokatori Keskusta", "Frischmarkt Nord"}, {"Livs Hörnan", "Kulmakauppa", "Eckladen Petersen"}, {"Storköp Väst", "Marketti Länsi", "Kaufgut Center"}, {"Kvartersbutiken", "Lähiruoka", "Bioladen Möhre"}}
	restaurants  = []words{{"Bistro Kajen", "Ravintola Satama", "Bistro am Kai"}, {"Pizzeria Fyren", "Pizzeria Majakka", "Pizzeria Leuchtturm"}, {"Kafé Linden", "Kahvila Lehmus", "Café Linde"}}
	transports   = []words{{"Länstrafiken Bas", "Seutuliikenne", "Verkehrsverbund Küste"}, {"Tåg i Norr", "Pohjoisen Junat", "Nordbahn"}, {"Bensinmack Riks 9", "Huoltoasema Ysitie", "Tankhof B5"}}
	insurers     = []words{{"Trygga Försäkringar", "Turva-Aalto Vakuutus", "Deichschutz Versicherung"}}
	telecoms     = []words{{"Fjärrtal Mobil", "Kaukopuhe Oy", "Fernton Mobilfunk"}}
	utilities    = []words{{"Älvkraft El", "Koskivoima Sähkö", "Stadtwerke Elbufer"}}
	subscribed   = []words{{"Streamly", "Streamly", "Streamly"}, {"Tonfall Musik", "Sävel Musiikki", "Klangwelt Musik"}, {"Gym Kraft", "Kuntosali Voima", "Fitness Kraftraum"}}
	shops        = []words{{"Klädhuset", "Vaatetalo", "Modehaus Brandt"}, {"Elektro Nu", "Elektroniikka Nyt", "Elektro Jetzt"}, {"Möbelgården", "Huonekalupiha", "Möbelhof"}}
	pharmacies   = []words{{"Apotek Björken", "Koivu Apteekki", "Birken-Apotheke"}}
	leisures     = []words{{"Biograf Stjärnan", "Elokuvateatteri Tähti", "Kino Stern"}, {"Simhallen", "Uimahalli", "Schwimmhalle"}}
	friends      = []words{{"Sara Ekdahl", "Sanni Peltola", "Antje Voß"}, {"Hugo Rosén", "Onni Hakala", "Malte Wendt"}}
	casinos      = []words{{"Spelpalatset Online", "Pelipalatsi Online", "Spielpalast Online"}, {"Turfodds", "Ravikertoimet", "Rennquote"}}
	collectors   = []words{{"Kravbolaget Inkasso", "Saatava Perintä Oy", "Forderungskontor Inkasso"}}
	lenders      = []words{{"Snabbkronan", "Pikaeuro", "Blitzkredit"}}
	taxOffices   = []words{{"Skattekontoret", "Verokonttori", "Finanzkasse Elbe"}}
	customers    = []words{{"Hamnkrogen AB", "Satamaravintola Oy", "Hafenrestaurant GmbH"}, {"Kommunhuset Ekeby", "Tammelan Kuntatalo", "Gemeinde Eichdorf"}, {"Villa Solgläntan", "Villa Aurinko", "Seniorenhaus Sonnenhof"}, {"Byggkompaniet AB", "Rakennuskumppanit Oy", "Baukompanie GmbH"}, {"Skolan Björknäs", "Koivuniemen Koulu", "Schule Birkenweg"}}
	buyersAbroad = []string{"Donau Möbel Handels GmbH", "Polder Interieur BV"}
	suppliers    = []words{{"Virke & Trä AB", "Puutavara Oy", "Holzhandel Lüneburg"}, {"Beslag Grossisten", "Helatukku", "Beschläge Großhandel"}, {"Maskinuthyrarna", "Konevuokraus", "Maschinenverleih Weser"}, {"Lack & Färg AB", "Maali ja Lakka Oy", "Lacke & Farben KG"}, {"Bokföringsbyrån Siffran", "Tilitoimisto Numero", "Steuerkanzlei Ziffer"}}
	makersAbroad = []string{"Øresund Værktøj ApS", "Balti Puit OÜ"}
)
