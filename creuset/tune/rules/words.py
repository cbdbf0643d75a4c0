"""Tables of simple words: what the word rules draw from, and what their tests check against.

Source: written for this project. Licence: Apache-2.0.
"""

OPPOSITES = dict(
    pair.split("-")
    for pair in (
        "hot-cold big-small tall-short fast-slow happy-sad old-young day-night up-down left-right open-closed full-empty "
        "light-dark hard-soft wet-dry rich-poor clean-dirty early-late easy-difficult strong-weak thick-thin wide-narrow "
        "high-low long-short good-bad true-false loud-quiet near-far first-last inside-outside summer-winter love-hate "
        "begin-end push-pull buy-sell win-lose laugh-cry remember-forget arrive-leave heavy-light sweet-bitter "
        "beautiful-ugly brave-afraid cheap-expensive safe-dangerous asleep-awake friend-enemy question-answer north-south "
        "east-west above-below before-after more-less always-never same-different sharp-blunt deep-shallow smooth-rough "
        "polite-rude simple-complex public-private success-failure peace-war black-white yes-no give-take start-stop "
        "increase-decrease accept-refuse alive-dead present-absent ancient-modern possible-impossible visible-invisible"
    ).split()
)
PLURALS = dict(
    pair.split("-")
    for pair in (
        "cat-cats dog-dogs book-books car-cars tree-trees house-houses apple-apples table-tables child-children man-men "
        "woman-women foot-feet tooth-teeth mouse-mice goose-geese person-people ox-oxen sheep-sheep fish-fish deer-deer "
        "leaf-leaves knife-knives wife-wives wolf-wolves life-lives shelf-shelves half-halves baby-babies city-cities "
        "country-countries story-stories family-families party-parties fly-flies berry-berries lady-ladies puppy-puppies "
        "box-boxes bus-buses dish-dishes watch-watches church-churches fox-foxes glass-glasses brush-brushes peach-peaches "
        "tomato-tomatoes potato-potatoes hero-heroes echo-echoes photo-photos piano-pianos radio-radios day-days key-keys "
        "monkey-monkeys boy-boys toy-toys roof-roofs chief-chiefs cactus-cacti bird-birds flower-flowers pencil-pencils "
        "river-rivers mountain-mountains teacher-teachers window-windows"
    ).split()
)
PAST = dict(
    pair.split("-")
    for pair in (
        "go-went eat-ate see-saw take-took give-gave come-came run-ran write-wrote read-read buy-bought bring-brought "
        "think-thought teach-taught catch-caught find-found make-made say-said tell-told know-knew grow-grew fly-flew "
        "draw-drew drink-drank sing-sang swim-swam begin-began break-broke speak-spoke choose-chose drive-drove ride-rode "
        "sleep-slept keep-kept leave-left feel-felt meet-met sell-sold send-sent build-built spend-spent lose-lost win-won "
        "walk-walked play-played talk-talked jump-jumped help-helped work-worked look-looked ask-asked open-opened "
        "close-closed love-loved live-lived dance-danced smile-smiled try-tried cry-cried study-studied carry-carried stop-stopped plan-planned"
    ).split()
)
SYNONYMS = dict(
    pair.split("-")
    for pair in (
        "happy-glad big-large small-little fast-quick begin-start end-finish smart-clever sad-unhappy angry-mad tired-sleepy "
        "beautiful-pretty difficult-hard simple-easy rich-wealthy quiet-silent brave-courageous afraid-scared strange-odd "
        "near-close right-correct wrong-incorrect help-assist build-make shout-yell answer-reply jump-leap look-watch "
        "talk-speak gift-present road-street kid-child ill-sick cold-chilly funny-amusing wonderful-great strong-powerful "
        "calm-peaceful famous-well-known enormous-huge"
    ).split()
    if pair.count("-") == 1
)
CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": tuple("dog cat horse cow lion tiger elephant rabbit mouse bear wolf fox monkey sheep goat pig deer zebra giraffe camel".split()),
    "bird": tuple("eagle sparrow owl parrot penguin duck swan pigeon crow robin".split()),
    "fruit": tuple("apple banana orange pear grape cherry lemon mango peach plum strawberry pineapple melon kiwi".split()),
    "vegetable": tuple("carrot potato onion cabbage spinach pea bean cucumber leek turnip broccoli pumpkin".split()),
    "color": tuple("red blue green yellow black white orange purple pink brown gray".split()),
    "tool": tuple("hammer saw screwdriver drill wrench axe shovel rake".split()),
    "vehicle": tuple("car bus train bicycle truck boat plane motorcycle tram helicopter".split()),
    "musical instrument": tuple("piano guitar violin drum flute trumpet harp cello clarinet".split()),
    "sport": tuple("football tennis basketball swimming running cycling boxing rugby hockey golf".split()),
    "part of the body": tuple("arm leg hand foot head nose ear eye mouth knee finger shoulder".split()),
    "piece of furniture": tuple("table chair bed sofa desk shelf wardrobe stool".split()),
    "piece of clothing": tuple("shirt hat coat sock shoe scarf glove skirt jacket sweater".split()),
    "drink": tuple("water milk tea coffee juice lemonade".split()),
    "job": tuple("teacher doctor nurse farmer baker driver pilot cook painter singer lawyer gardener".split()),
    "season": ("spring", "summer", "autumn", "winter"),
    "shape": tuple("circle square triangle rectangle star oval cube".split()),
    "metal": tuple("iron gold silver copper tin lead aluminum".split()),
    "insect": tuple("bee ant butterfly fly beetle mosquito wasp grasshopper".split()),
    "planet": tuple("Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split()),
}
COMMON = tuple(
    "apple banana garden window school bridge flower castle orange kitchen market doctor summer winter pencil butter dragon "
    "mountain river forest island planet rocket pocket ticket basket blanket camera candle carrot cheese chicken circle "
    "coffee cookie cotton dinner dollar engine family farmer father finger friend guitar hammer holiday hospital jacket "
    "jungle ladder lemon letter lizard machine market mirror monkey morning mother muffin museum music needle number ocean "
    "office onion orchard palace paper parrot pepper picnic pillow pirate police potato prince puppet puzzle rabbit rainbow "
    "sailor salad sandal shadow silver sister soccer spider spoon spring station storm street strawberry sugar sunset "
    "sweater teacher temple thunder tiger tomato tractor train travel tunnel turtle umbrella uncle village violin wagon "
    "water weather whale wheel whistle window wizard wolf world yellow zebra bread chair cloud dance dream earth field fruit "
    "glass grass green happy heart horse house juice knife light lunch magic money month mouse night north nurse paint party "
    "peace phone piano plant plate queen quiet radio river robot salt sheep shirt smile snake snow song soup star stone table "
    "toast tooth tower town tree truck voice book cake cat dog egg fish hat ice jam key lion map nest pen ring sea sun ten van zoo".split()
)
NAMES = tuple(
    "Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Maria Noah Olivia Paul Rosa Sam Tina Victor Amina Omar "
    "Fatima Ali Mei Chen Priya Raj Yuki Ken Lucas Sofia Elena Marco Nina Peter Laura Tom Lucy Daniel Alice Hugo Zoe Adam "
    "Julia Oscar Ella Max Ruby Simon".split()
)
BOYS = frozenset("Ben David Felix Henry Jack Leo Noah Paul Sam Victor Omar Ali Raj Ken Lucas Marco Peter Tom Daniel Hugo Adam Oscar Max Simon Chen".split())
SURNAMES = tuple("Martin Brown Rossi Kim Novak Silva Diallo Haddad Larsen Moreau Keller Okafor Tanaka Fischer Garcia Lopez Ivanov Patel Young Reed".split())
PLACES = tuple(
    "the park;the market;the library;the beach;the school;the museum;the station;the zoo;the garden;the bakery;the hospital;"
    "the farm;the cinema;the lake;the village;the swimming pool;the bookshop;the restaurant;the office;the forest".split(";")
)
CITIES = tuple("Paris London Rome Berlin Madrid Lisbon Cairo Tokyo Oslo Dublin Vienna Athens Dakar Lima Delhi Nairobi Toronto Sydney Prague Geneva".split())
THINGS = tuple(
    "apple/apples;book/books;pencil/pencils;egg/eggs;cookie/cookies;ball/balls;flower/flowers;ticket/tickets;candle/candles;"
    "orange/oranges;balloon/balloons;stamp/stamps;cup/cups;card/cards;shell/shells;toy/toys;coin/coins;marble/marbles;"
    "sticker/stickers;potato/potatoes".split(";")
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")
