/**
 * The most frequent passwords of eight and more characters in published breaches, and a few that people who set up
 * a server are fond of: the first that anyone would try. Lower case; a modest list on purpose (ASVS 5.0, 6.2.4).
 */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  `
123456789 password 12345678 password1 1234567890 iloveyou 1q2w3e4r5t qwertyuiop 1qaz2wsx myspace1
homelesspa 1q2w3e4r qwerty123 987654321 target123 1g2w3e4r zag12wsx gwerty123 asdfghjkl 123123123
princess computer football 1234qwer sunshine iloveyou1 789456123 princess1 abcd1234 passer2009 superman
football1 jordan23 12qwaszx baseball 123456789a q1w2e3r4t5y6 fqrg7cs493 michael1 blink182 qwer1234
linkedin babygirl1 q1w2e3r4 michelle liverpool j38ifubn 0123456789 iloveyou2 jennifer babygirl 147258369
jessica1 0987654321 anthony1 qazwsxedc trustno1 baseball1 basketball passw0rd samantha chocolate
asdf1234 qwerty12 charlie1 pakistan superman1 butterfly 12341234 sunshine1 internet alexander
1qaz2wsx3edc 29rsavoy 3rjs1la7qe whatever qweasdzxc 1qazxsw2 hello123 password12 password2 12344321
starwars q1w2e3r4t5 brandon1 vqsablpzla jonathan 1234567891 12345qwert cjmasterinf 12345678910
a123456789 christian yuantuo2012 sojdlg123aljg mercedes victoria matthew1 million2 benjamin diosesfiel
dpbk1234 123654789 elizabeth barcelona zaq12wsx computer1 michelle1 william1 11223344 welcome1 jasmine1
slipknot liverpool1 metallica chicken1 87654321 spiderman 147852369 tinkerbell qwerty12345 pokemon1
butterfly1 nicholas 123qweasd danielle asdfasdf 1234554321 juventus chelsea1 chocolate1 a838hfid
1234567a freedom1 america1 741852963 qwertyui jennifer1 111222tianya 1234abcd cocacola madison1
1password november samantha1 elizabeth1 mustang1 password123 diamond1 myspace123 qqww1122 whatever1
valentina hellokitty super123 1q2w3e4r5t6y a1b2c3d4 startfinding spongebob1 alexandra december patricia
friends1 4815162342 123hfjdk147 beautiful carolina 123456789q heather1 sebastian midnight caroline
elephant yankees1 scorpion bubbles1 patrick1 lovelove cowboys1 veronica yagjecc826 iw14fi9j september
melissa1 alexander1 spongebob raiders1 12121212 qazwsx123 stephanie zxcvbnm1 iloveyou! precious a1234567
poohbear manchester cristina jackson1 aa123456 newyork1 asdfghjkl1 richard1 monster1 destiny1 blessed1
slipknot1 emmanuel spiderman1 maverick charlotte creative softball beautiful1 brittany kristina garfield
3odi15ngxb 421uiopy258 scooter1 1a2b3c4d steelers isabella 9876543210 123456abc myspace2 12345678a
kimberly qwert123 1029384756 snickers 1122334455 forever1 icecream cameron1 963852741 california
metallica1 samsung1 1v7upjw3nt brittany1 bismillah babyboy1 qwerty123456 christian1 letmein1 danielle1
leonardo christine gangsta1 password! arsenal1 swordfish uqa9ebw445 iloveyou12 fernando qwerty1234
hardcore twilight marlboro sz9kqcctwy dolphin1 rockstar abc123456 123qwe123 starwars1 greenday loveyou1
tiffany1 angelina d2xyw89sxj courtney playboy1 crystal1 darkness alejandro corvette marseille friendster
lollipop password3 jonathan1 brooklyn motorola nicholas1 angel123 portugal rainbow1 poohbear1 snowball
justinbieb 1234512345 123qweasdzxc iloveme1 3d8cubaj2e shannon1 logitech pa55word remember catherine
victoria1 popcorn1 ihateyou isabelle lakers24 lizottes steelers1 password. p3rat54797 blessing rockstar1
peaches1 florida1 superstar love4ever goodluck asdfghjk thunder1 changeme santiago strawberry happy123
abcdefg1 bigdaddy 1123581321 qwert12345 iverson3 vanessa1 svetlana chester1 yourmom1 christopher
loverboy fyfcnfcbz azertyuiop rush2112 angelica midnight1 12345qwerty love1234 williams babygurl1
sunflower sweetpea greenday1 charles1 undertaker 123698745 precious1 a12345678 brooklyn1 paradise
sweetheart abc12345 money123 stephanie1 shopping lebron23 kawasaki inuyasha fktrcfylh 21212121 vladimir
christina linkinpark facebook soccer12 polniypizdec0211 dolphins scarface maryjane qq123456 123454321
giovanni zxcvbnm123 career121 australia soccer10 password11 ig4abox4 realmadrid rebecca1 asdasdasd
westside brianna1 qw123321 southside1 getmoney1 francesco ronaldo7 123456aa savannah 111222333 sterling
warcraft jesus123 monkey123 chicago1 courtney1 bigdaddy1 mahalkita valentin awesome1 teddybear cjkysirj
apple123 alessandro gabriel1 gateway1 bestfriend champion nintendo volleyball qwerasdf hollister1
password7 element1 chouchou passwort francesca natalie1 fishing1 princess12 abcdefgh w5txn36alfw
mariposa gabriela cheyenne zachary1 happiness veronika antonio1 blahblah babygirl12 monkey12 engineer
pass1234 virginia estrella simpsons anderson chris123 princesa grandma1 twilight1 scarface1 godisgood
147896325 giuseppe aleksandr abcdefg123 softball1 pumpkin1 kingkong vkontakte loveyou2 benjamin1
ladybug1 hallo123 adgjmptw cookies1 florence margarita children skittles cristian soccer11 123456qwerty
serenity hollywood mamapapa password01 2012comeer panasonic password5 31415926 business inuyasha1
colorado rangers1 minecraft microsoft sabrina1 amoremio p@ssw0rd harrypotter nirvana1 asdasd123 gangster
25802580 internet1 airforce1 sample123 groupd2013 flowers1 icecream1 vrbgqns997 christmas dbrnjhbz
superstar1 drowssap kathleen bulldog1 cupcake1 christina1 lasvegas westside1 qti7zxh18u frankie1
babydoll poiuytrewq megaparol12345 johncena1 redneck1 marshall terminator rammstein truelove security
jackson5 football12 india123 september1 19871987 192837465 snickers1 myspace! admin123 123456789m
1qaz1qaz 321654987 123456789z scotland a1s2d3f4 welcome123 motdepasse kimberly1 alexandre killer123
spencer1 phoenix1 zaq1xsw2 runescape1 francisco chocolat jesus777 casanova carpediem mitchell franklin
stonecold iloveyou. alejandra 19851985 christophe 12369874 rhbcnbyf jesuschrist handsome muhammad
maxwell1 g9l2d1fzpy margaret anastasia babygirl2 savannah1 sweetie1 platinum 1234567q idontknow
123456654321 passport d1lakiss katherine hotmail1 wolverine diwtgm8492 patches1 jamesbond snowball1
123321123 cutiepie gangster1 valentine cambiami hercules anhyeuem beatrice 69696969 14789632 green123
trouble1 19841984 comeon11 myspace12 goldfish james123 maradona winston1 19861986 lawrence
correcthorsebatterystaple matrix123 element123 synapse1 administrator adminadmin admin1234 admin12345
password1234 passwort1 passwort123 passwort1234 hallo1234 qwertz123 qwertzuiop asdfghjklö schalke04
ichliebedich geheim123 willkommen changeme1 changeme123 letmein123 welcome2024 welcome2025 password2024
password2025 sommer2024 sommer2025 summer2024 summer2025 winter2024 winter2025
`
    .trim()
    .split(/\s+/),
)
