"""Country codes in, continent and a point in the country out: the ground that `EU-DE` and `nearest` stand on.

Continents are assigned as GeoNames does (the source of MaxMind's databases), so that a place written in the
configuration and the same place looked up in a database agree: Cyprus, Russia and Iceland are in Europe; Turkey,
the Caucasus and Kazakhstan in Asia. Points are rough geographic centres, for clients of whom only the country is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}

# All ISO 3166-1 alpha-2 codes, and XK (Kosovo), which is no ISO code but what the databases say.
_COUNTRIES = """
AD EU 42.5 1.5; AE AS 24 54; AF AS 33.9 67.7; AG NA 17.1 -61.8; AI NA 18.2 -63.1; AL EU 41.2 20.2; AM AS 40.1 45
AO AF -11.2 17.9; AQ AN -80 0; AR SA -35.4 -65.2; AS OC -14.3 -170.7; AT EU 47.6 14.1; AU OC -25.7 134.5
AW NA 12.5 -70; AX EU 60.2 20; AZ AS 40.3 47.5; BA EU 44.2 17.8; BB NA 13.2 -59.6; BD AS 23.9 90.2; BE EU 50.6 4.6
BF AF 12.3 -1.8; BG EU 42.8 25.2; BH AS 26 50.5; BI AF -3.4 29.9; BJ AF 9.6 2.3; BL NA 17.9 -62.8; BM NA 32.3 -64.8
BN AS 4.5 114.7; BO SA -16.7 -64.7; BQ NA 12.2 -68.3; BR SA -10.8 -53.1; BS NA 24.3 -76.6; BT AS 27.4 90.4
BV AN -54.4 3.4; BW AF -22.2 23.8; BY EU 53.5 28; BZ NA 17.2 -88.7; CA NA 61.4 -98.3; CC AS -12.2 96.9
CD AF -2.9 23.6; CF AF 6.6 20.5; CG AF -0.8 15.2; CH EU 46.8 8.2; CI AF 7.6 -5.6; CK OC -21.2 -159.8
CL SA -37.7 -71.4; CM AF 5.7 12.7; CN AS 36.6 103.8; CO SA 3.9 -73.1; CR NA 10 -84.2; CU NA 21.6 -79; CV AF 16 -24
CW NA 12.2 -69; CX OC -10.5 105.6; CY EU 35 33.2; CZ EU 49.7 15.3; DE EU 51.1 10.4; DJ AF 11.7 42.6; DK EU 56 10
DM NA 15.4 -61.4; DO NA 18.9 -70.5; DZ AF 28.2 2.6; EC SA -1.4 -78.8; EE EU 58.7 25.5; EG AF 26.5 29.9
EH AF 24.2 -12.2; ER AF 15.4 38.8; ES EU 40.2 -3.6; ET AF 8.6 39.6; FI EU 64.5 26.3; FJ OC -17.4 178
FK SA -51.7 -59.4; FM OC 6.9 158.2; FO EU 62 -6.9; FR EU 46.2 2.2; GA AF -0.6 11.8; GB EU 54.1 -2.9; GD NA 12.1 -61.7
GE AS 42.2 43.5; GF SA 3.9 -53.1; GG EU 49.5 -2.6; GH AF 8 -1.2; GI EU 36.1 -5.4; GL NA 74.7 -41.3; GM AF 13.4 -15.4
GN AF 10.4 -10.9; GP NA 16.2 -61.5; GQ AF 1.7 10.3; GR EU 39.1 22.6; GS AN -54.4 -36.7; GT NA 15.7 -90.4
GU OC 13.4 144.8; GW AF 12 -14.9; GY SA 4.8 -59; HK AS 22.4 114.1; HM AN -53.1 73.5; HN NA 14.8 -86.6; HR EU 45.1 16.4
HT NA 18.9 -72.7; HU EU 47.2 19.4; ID AS -2.2 117.2; IE EU 53.2 -8.1; IL AS 31.5 35; IM EU 54.2 -4.5; IN AS 22.9 79.6
IO AS -7.3 72.4; IQ AS 33 43.7; IR AS 32.6 54.3; IS EU 65 -18.6; IT EU 42.8 12.1; JE EU 49.2 -2.1; JM NA 18.2 -77.3
JO AS 31.2 36.8; JP AS 37.6 138; KE AF 0.6 37.8; KG AS 41.5 74.6; KH AS 12.7 104.9; KI OC 1.8 -157.4; KM AF -11.9 43.7
KN NA 17.3 -62.7; KP AS 40.2 127.2; KR AS 36.4 127.8; KW AS 29.3 47.6; KY NA 19.3 -81.2; KZ AS 48.2 67.3
LA AS 18.5 103.7; LB AS 33.9 35.9; LC NA 13.9 -61; LI EU 47.1 9.5; LK AS 7.6 80.7; LR AF 6.5 -9.3; LS AF -29.6 28.2
LT EU 55.3 23.9; LU EU 49.8 6.1; LV EU 56.9 24.9; LY AF 27 18; MA AF 29.9 -8.5; MC EU 43.7 7.4; MD EU 47.2 28.5
ME EU 42.8 19.2; MF NA 18.1 -63.1; MG AF -19.4 46.7; MH OC 7.1 171.2; MK EU 41.6 21.7; ML AF 17.3 -3.5
MM AS 21.2 96.5; MN AS 46.8 103.1; MO AS 22.2 113.5; MP OC 15.2 145.7; MQ NA 14.7 -61; MR AF 20.3 -10.3
MS NA 16.7 -62.2; MT EU 35.9 14.4; MU AF -20.3 57.6; MV AS 3.7 73.5; MW AF -13.2 34.3; MX NA 24 -102.5
MY AS 3.8 109.7; MZ AF -17.3 35.5; NA AF -22.1 17.2; NC OC -21.3 165.7; NE AF 17.4 9.4; NF OC -29 168; NG AF 9.6 8.1
NI NA 12.8 -85; NL EU 52.1 5.3; NO EU 64.6 12.7; NP AS 28.2 83.9; NR OC -0.5 166.9; NU OC -19 -169.9
NZ OC -41.8 171.8; OM AS 20.6 56.1; PA NA 8.5 -80.1; PE SA -9.2 -74.4; PF OC -17.7 -149.4; PG OC -6.5 145.2
PH AS 11.8 122.9; PK AS 30 69.3; PL EU 52.1 19.4; PM NA 46.9 -56.3; PN OC -24.4 -128.3; PR NA 18.2 -66.5
PS AS 31.9 35.2; PT EU 39.6 -8; PW OC 7.3 134.4; PY SA -23.2 -58.4; QA AS 25.3 51.2; RE AF -21.1 55.5; RO EU 45.9 25
RS EU 44.2 20.8; RU EU 61.5 96; RW AF -2 29.9; SA AS 24.1 44.5; SB OC -8.9 159.6; SC AF -4.7 55.5; SD AF 16 30
SE EU 62.8 16.7; SG AS 1.4 103.8; SH AF -16 -5.7; SI EU 46.1 14.8; SJ EU 78 16; SK EU 48.7 19.5; SL AF 8.6 -11.8
SM EU 43.9 12.5; SN AF 14.4 -14.5; SO AF 4.8 45.7; SR SA 4.1 -55.9; SS AF 7.3 30.2; ST AF 0.4 6.7; SV NA 13.7 -88.9
SX NA 18 -63.1; SY AS 35 38.5; SZ AF -26.6 31.5; TC NA 21.8 -71.8; TD AF 15.3 18.6; TF AN -49.2 69.2; TG AF 8.5 1
TH AS 15.1 101; TJ AS 38.5 71; TK OC -9.2 -171.8; TL OC -8.8 125.8; TM AS 39.1 59.4; TN AF 34.1 9.6
TO OC -20.4 -174.8; TR AS 39.1 35.2; TT NA 10.5 -61.3; TV OC -8 178.7; TW AS 23.8 121; TZ AF -6.3 34.8; UA EU 49 31.4
UG AF 1.3 32.4; UM OC 19.3 166.6; US NA 39.8 -98.6; UY SA -32.8 -56; UZ AS 41.8 63.1; VA EU 41.9 12.5
VC NA 13.2 -61.2; VE SA 7.1 -66.2; VG NA 18.5 -64.5; VI NA 18 -64.8; VN AS 16.6 106.3; VU OC -16.2 167.7
WF OC -13.9 -177.3; WS OC -13.8 -172.2; XK EU 42.6 20.9; YE AS 15.9 47.6; YT AF -12.8 45.1; ZA AF -29 25.1
ZM AF -13.5 27.8; ZW AF -19 29.9
"""


def _read(text: str) -> dict[str, tuple[str, float, float]]:
    rows = (row.split() for row in text.replace("\n", ";").split(";") if row.strip())
    return {code: (continent, float(lat), float(lon)) for code, continent, lat, lon in rows}


COUNTRIES: Mapping[str, tuple[str, float, float]] = MappingProxyType(_read(_COUNTRIES))
"""ISO 3166-1 alpha-2 code → (continent, latitude, longitude) in degrees."""
