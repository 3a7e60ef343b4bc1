/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict on purpose, and without strptime(), which depends on the locale: a
 * date is taken apart by pattern. In a pattern 'd' is a digit, 'z' a digit or a
 * space, 'm' the three letters of a month, 'w' those of a weekday; all else
 * stands for itself.
 */
#include "server/plugins/http/retry_after.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

static const int64_t delay_ms_max = (int64_t)100 * 365 * 86400 * 1000;

/* Where the parts of a date stand in the text; the month's letters included. */
struct date_form {
    const char *pattern;
    size_t day;
    size_t month;
    size_t year;
    size_t year_digits;
    size_t clock;
};

static const struct date_form forms[] = {
    {"w, dd m dddd dd:dd:dd GMT", 5, 8, 12, 4, 17}, /* IMF-fixdate */
    {", dd-m-dd dd:dd:dd GMT", 2, 5, 9, 2, 12},     /* RFC 850, from the ',' */
    {"w m zd dd:dd:dd dddd", 8, 4, 20, 4, 11},      /* asctime */
};

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const weekdays[] = {"Sunday",    "Monday",   "Tuesday",
                                       "Wednesday", "Thursday", "Friday",
                                       "Saturday"};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 0 to 11, or -1. */
static int
month_at(const char *text)
{
    for (int i = 0; i < 12; i++) {
        if (strncmp(months + 3 * (size_t)i, text, 3) == 0) {
            return i;
        }
    }
    return -1;
}

/* The length of the weekday that `text` begins with, cut to `len`; or 0. */
static size_t
weekday_len(const char *text, bool is_long)
{
    for (size_t i = 0; i < 7; i++) {
        size_t len = is_long ? strlen(weekdays[i]) : 3;
        if (strncmp(weekdays[i], text, len) == 0) {
            return len;
        }
    }
    return 0;
}

static bool
matches(const char *pattern, const char *text)
{
    const char *at = text;
    for (; *pattern != '\0'; pattern++) {
        size_t len = 1;
        bool good = false;
        if (*pattern == 'd') {
            good = is_digit(*at);
        } else if (*pattern == 'z') {
            good = is_digit(*at) || *at == ' ';
        } else if (*pattern == 'm') {
            good = month_at(at) >= 0;
            len = 3;
        } else if (*pattern == 'w') {
            good = weekday_len(at, false) > 0;
            len = 3;
        } else {
            good = *at == *pattern;
        }
        if (!good) {
            return false;
        }
        at += len;
    }
    return *at == '\0';
}

static int
number_at(const char *text, size_t digits)
{
    int number = 0;
    for (size_t i = 0; i < digits; i++) {
        number = number * 10 + (is_digit(text[i]) ? text[i] - '0' : 0);
    }
    return number;
}

/* A two-digit year is the one that is at most 50 years ahead. */
static int
full_year(int two_digits, int64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm parts;
    gmtime_r(&now, &parts);
    int this_year = parts.tm_year + 1900;
    int year = this_year - this_year % 100 + two_digits;
    return year > this_year + 50 ? year - 100 : year;
}

static bool
read_date(const char *text, const struct date_form *form, int64_t now_ms,
          int64_t *ret_ms)
{
    struct tm parts = {
        .tm_mday = number_at(text + form->day, 2),
        .tm_mon = month_at(text + form->month),
        .tm_hour = number_at(text + form->clock, 2),
        .tm_min = number_at(text + form->clock + 3, 2),
        .tm_sec = number_at(text + form->clock + 6, 2),
    };
    int year = number_at(text + form->year, form->year_digits);
    parts.tm_year = (form->year_digits == 2 ? full_year(year, now_ms) : year) -
                    1900;
    if (parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60) {
        return false;
    }
    bool is_leap_second = parts.tm_sec == 60;
    int day = parts.tm_mday;
    time_t seconds = timegm(&parts);
    if (parts.tm_mday != day && !is_leap_second) {
        return false; /* 31 February */
    }
    *ret_ms = (int64_t)seconds * 1000 - now_ms;
    return true;
}

static bool
read_seconds(const char *value, int64_t *ret_ms)
{
    int64_t seconds = 0;
    const char *at = value;
    for (; is_digit(*at); at++) {
        if (seconds < delay_ms_max) {
            seconds = seconds * 10 + (*at - '0');
        }
    }
    if (at == value || *at != '\0') {
        return false;
    }
    *ret_ms = seconds > delay_ms_max / 1000 ? delay_ms_max : seconds * 1000;
    return true;
}

bool
retry_after_read(const char *value, int64_t now_ms, int64_t *ret_ms)
{
    int64_t ms = 0;
    bool good = read_seconds(value, &ms);
    for (size_t i = 0; !good && i < sizeof(forms) / sizeof(forms[0]); i++) {
        bool is_long = forms[i].pattern[0] == ',';
        size_t skipped = is_long ? weekday_len(value, true) : 0;
        good = (skipped > 0 || !is_long) &&
               matches(forms[i].pattern, value + skipped) &&
               read_date(value + skipped, &forms[i], now_ms, &ms);
    }
    if (good) {
        *ret_ms = ms < 0 ? 0 : ms > delay_ms_max ? delay_ms_max : ms;
    }
    return good;
}
