"""Words that made-up records are put together from."""

# ruff: noqa: SIM905, E501 - a list with one word a line would be two hundred lines

from __future__ import annotations

from typing import Final

FIRST: Final = tuple(
    "Ada Adrian Aisha Alena Amir Ana Anders Astrid Bashir Beatriz Boris Carla Chen Clara Dana Daniel Diego Dilara"
    " Elena Elias Emeka Emma Erik Fatima Felix Gita Grace Hana Hugo Ines Ismail Ivan Jana Joao Julia Kaito Karim"
    " Katja Lena Leo Lucia Luka Maja Marco Marta Mei Milan Mira Nadia Nils Noor Olga Omar Paula Pavel Petra Rafael"
    " Rania Rosa Ruben Sara Selim Sofia Stefan Tariq Tereza Thomas Uma Vera Viktor Wanda Yara Yusuf Zofia".split()
)
LAST: Final = tuple(
    "Adler Almeida Anders Aydin Bakker Barros Becker Berg Bianchi Blom Brandt Castro Cermak Chandra Costa Dahl Demir"
    " Dietrich Dubois Eklund Engel Farkas Ferrari Fischer Fontaine Garcia Goncharov Haas Hansen Hartmann Horvath"
    " Ibrahim Ito Ivanova Jansen Jung Kaplan Keller Kim Klein Kovac Kowalski Kruger Lambert Larsen Lindgren Lopez"
    " Maier Marino Mendes Meyer Moreau Nagy Neumann Novak Nowak Okafor Olsen Ortega Park Petrov Popescu Prasad Ricci"
    " Romero Rossi Santos Sato Schmidt Silva Simon Sokolov Sorensen Stein Suzuki Tanaka Toth Urban Vargas Vogel"
    " Wagner Weber Winter Yilmaz Zeman Zimmer".split()
)
SUBJECTS: Final = tuple(
    "annual service|bulk order|call back|catalogue request|delivery terms|demo appointment|framework contract"
    "|installation|maintenance|new office|offer for spare parts|price list|product sample|quote|replacement"
    "|second site|spare parts|subscription|training day|trial|upgrade|warranty question|website form".split(
        "|"
    )
)
SOURCES: Final = ("CALL", "EMAIL", "WEB", "WEBFORM", "CALLBACK", "RECOMMENDATION", "TRADE_SHOW")
POSTS: Final = ("Buyer", "Managing director", "Office manager", "Engineer", "Accountant", "Assistant", "")
