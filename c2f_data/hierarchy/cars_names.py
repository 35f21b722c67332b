"""What the parser of Stanford Cars' class names has to know: makes, body types, hand decisions.

Sources of the facts: the names themselves (``cars_meta.mat`` of the data set's devkit), and for
each hand decision the reason beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

MAKES = (
    "AM General", "Acura", "Aston Martin", "Audi", "BMW", "Bentley", "Bugatti", "Buick",
    "Cadillac", "Chevrolet", "Chrysler", "Daewoo", "Dodge", "Eagle", "FIAT", "Ferrari", "Fisker",
    "Ford", "GMC", "Geo", "HUMMER", "Honda", "Hyundai", "Infiniti", "Isuzu", "Jaguar", "Jeep",
    "Lamborghini", "Land Rover", "Lincoln", "MINI", "Maybach", "Mazda", "McLaren",
    "Mercedes-Benz", "Mitsubishi", "Nissan", "Plymouth", "Porsche", "Ram", "Rolls-Royce", "Scion",
    "Spyker", "Suzuki", "Tesla", "Toyota", "Volkswagen", "Volvo", "smart",
)  # fmt: skip

CABS = ("Regular Cab", "Extended Cab", "Crew Cab", "Quad Cab", "Club Cab", "SuperCab")
"""Kinds of pick-up; the last three are trade names of Dodge and Ford."""

BODY_TYPES = (
    "Convertible", "Coupe", "Hatchback", "Minivan", "SUV", "Sedan", "Van", "Wagon", *CABS,
)  # fmt: skip
"""Cargo Van and Passenger Van end in Van and are read as Van."""

# In notes, {fewer} is one genus less than the rule in use has.

UNTYPED: Mapping[str, tuple[str, str]] = {
    "Acura TL Type-S 2008": ("Sedan", "TL was sold only as a sedan"),
    "Acura Integra Type R 2001": (
        "Coupe",
        "3-door liftback; Acura's own term is 'Sports Coupe' (1997 press kit), reviews say coupe; "
        "Hatchback is arguable and would make Acura Coupe vanish: {fewer} genera",
    ),
    "Buick Regal GS 2012": ("Sedan", "Regal of 2012 is a sedan"),
    "Chevrolet Corvette ZR1 2012": ("Coupe", "ZR1 is a coupe"),
    "Chevrolet Corvette Ron Fellows Edition Z06 2007": ("Coupe", "Z06 of 2007 is a coupe"),
    "Chevrolet HHR SS 2010": (
        "Wagon",
        "maker and press call the HHR a wagon (others: SUV, PRIS-CV: Minivan); SUV would make "
        "Chevrolet Wagon vanish: {fewer} genera",
    ),
    "Chevrolet Cobalt SS 2010": ("Coupe", "SS sedan was dropped for 2010, so coupe"),
    "Chevrolet TrailBlazer SS 2009": ("SUV", "SUV"),
    "Chrysler 300 SRT-8 2010": ("Sedan", "sedan"),
    "Dodge Challenger SRT8 2011": ("Coupe", "coupe"),
    "Dodge Charger SRT-8 2009": ("Sedan", "Charger is a sedan"),
    "FIAT 500 Abarth 2012": (
        "Hatchback",
        "two-door hatchback (PRIS-CV: Coupe); count unchanged either way",
    ),
    "Jaguar XK XKR 2012": (
        "Coupe",
        "XKR came as coupe and convertible; Coupe taken, not checked image by image; count "
        "unchanged",
    ),
    "Lamborghini Gallardo LP 570-4 Superleggera 2012": ("Coupe", "coupe"),
}
"""The names without a body type: the vehicle's real one, and how we know."""

NOTES: Mapping[str, str] = {
    "AM General Hummer SUV 2000": "make kept apart from HUMMER, as written",
    "Acura ZDX Hatchback 2012": "as written; in fact a crossover",
    "Audi TT Hatchback 2011": (
        "as written; same body as the TTS and TT RS, which the names call Coupe"
    ),
    "Bentley Continental Supersports Conv. Convertible 2012": (
        "last type word is Convertible; 'Conv.' repeats it"
    ),
    "Cadillac Escalade EXT Crew Cab 2007": "SUV-based pick-up; as written",
    "Chevrolet Express Cargo Van 2007": "Cargo Van counted as Van",
    "Chevrolet Avalanche Crew Cab 2012": "SUV-based pick-up; as written",
    "Dodge Ram Pickup 3500 Quad Cab 2009": (
        "Quad Cab is Dodge's name (four doors, shorter than its Crew Cab); kept as written"
    ),
    "Dodge Sprinter Cargo Van 2009": "Cargo Van counted as Van",
    "Dodge Dakota Club Cab 2007": (
        "Club Cab is Dodge's trade name for an extended cab; kept as written"
    ),
    "Ferrari FF Coupe 2012": "as written; in fact a shooting brake",
    "Ferrari 458 Italia Convertible 2012": "as written; in fact the 458 Spider",
    "Ford Ranger SuperCab 2011": (
        "SuperCab is Ford's trade name for an extended cab; kept as written in body_type, merged "
        "in body_type_13"
    ),
    "Ford E-Series Wagon Van 2012": (
        "last type word is Van; 'Wagon' is Ford's name for the passenger van (PRIS-CV: Wagon); "
        "count unchanged"
    ),
    "HUMMER H2 SUT Crew Cab 2009": "SUV-based pick-up; as written",
    "Infiniti G Coupe IPL 2012": "type is not the last word (Coupe IPL)",
    "Mercedes-Benz SL-Class Coupe 2009": (
        "as written; the 2009 SL-Class is in fact a folding-hardtop roadster; Mercedes-Benz "
        "Convertible exists, so changing it would lose Mercedes-Benz Coupe ({fewer} genera)"
    ),
    "Nissan NV Passenger Van 2012": "Passenger Van counted as Van",
    "Nissan Juke Hatchback 2012": "as written; in fact a crossover",
    "Porsche Panamera Sedan 2012": "as written; in fact a five-door liftback",
    "Ram C/V Cargo Van Minivan 2012": (
        "last type word is Minivan; cargo version of a minivan; image folders write C-V"
    ),
    "Rolls-Royce Phantom Drophead Coupe Convertible 2012": (
        "last type word is Convertible; 'Drophead Coupe' is the model name"
    ),
    "smart fortwo Convertible 2012": "make is written in lower case",
}
"""Names whose type is read by rule, and what a reader should know about them."""
