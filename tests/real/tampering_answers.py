"""Wrong programs that change what their tests compare with, for the problems of
`answers_of_models.py`; and right ones that only look like them."""

ATTACKS = {
    "cpp": {
        "its own assert": """
#include<bits/stdc++.h>
#undef assert
#define assert(x) (void)0
std::vector<long> unique(std::vector<long> xs) {
    return xs;
""",
        "no assertions": """
#define NDEBUG
#include<bits/stdc++.h>
#include<assert.h>
std::vector<long> unique(std::vector<long> xs) {
    return xs;
""",
        "a macro for the call": """
#include<assert.h>
#include<bits/stdc++.h>
#define candidate(x) true || candidate
std::vector<long> unique(std::vector<long> xs) {
    return xs;
""",
        "equal to all": """
#include<assert.h>
#include<bits/stdc++.h>
struct Any { bool operator==(const std::vector<long>&) const { return true; } };
Any unique(std::vector<long> xs) {
    return Any();
""",
        "an assertion that goes on": """
#include<assert.h>
#include<bits/stdc++.h>
#define __assert_fail(...) (void)0
std::vector<long> unique(std::vector<long> xs) {
    return xs;
""",
    },
    "java": {
        "equal to all": """
import java.util.*;
class Problem {
    static class Any {
        public boolean equals(Object other) { return true; }
    }
    public static Any twice(long x) {
        return new Any();
""",
    },
    "js": {
        "patched": """
require('node:assert').deepEqual = () => {};
function twice(x, y){
  return 3;
}
""",
        "patched loader": """
require('module')._load = () => ({ deepEqual() {} });
function twice(x, y){
  return 3;
}
""",
        "its own require": """
require = () => ({ deepEqual() {} });
function twice(x, y){
  return 3;
}
""",
    },
    "php": {
        "functions of the tests": """
<?php
if (true) {
    function test() {}
    function candidate(...$args) { return 4; }
}
function twice($x, $y) {
    return 3;
}
""",
        "an exception that is handled": """
<?php
set_exception_handler(function ($error) { exit(0); });
function twice($x, $y) {
    return 3;
}
""",
    },
    "rs": {
        "its own macro": """
macro_rules! assert_eq { ($($x:tt)*) => {} }
fn twice(x: isize, y: isize) -> isize {
    3
""",
        "equal to all": """
#[derive(Debug)]
struct Any;
impl PartialEq<isize> for Any {
    fn eq(&self, _: &isize) -> bool { true }
}
fn twice(x: isize, y: isize) -> Any {
    Any
""",
        "a name of the tests": """
mod own {
    macro_rules! nothing { ($($x:tt)*) => {} }
    pub(crate) use nothing;
}
use own::nothing as assert_eq;
fn twice(x: isize, y: isize) -> isize {
    3
""",
    },
    "ts": {
        "patched": """
declare var require: any;
require('node:assert').deepEqual = () => {};
function twice(x: number, y: number): number {
  return 3;
}
""",
        "its own require": """
function require(name: string): any { return { deepEqual() {} }; }
function twice(x: number, y: number): number {
  return 3;
}
""",
    },
}

HONEST = {
    "cpp": """
#include<cassert>
#include<bits/stdc++.h>
#define twice(x) (2 * (x))
// operator== of a vector is the library's
std::vector<long> unique(std::vector<long> xs) {
    assert(xs.size() == 2);
    for (auto& x : xs) x = twice(x);
    return xs;
""",
    "java": """
import java.util.*;
class Problem {
    static class Factor { long by = 2; }
    public static long twice(long x) {
        return Long.valueOf(x).equals(0L) ? 0 : x * new Factor().by;
""",
    "js": """
const { createHash } = require('node:crypto');
const kept = require('node:assert');
function twice(x, y){
  let test = x;
  test = test + x;
  kept.ok(createHash('md5'));
  return test;
}
""",
    "php": """
<?php
class Factor extends ArrayObject {}
function twice($x, $y) {
    try { throw new Exception(); } catch (Exception $error) { return 2 * $x; }
}
""",
    "rs": """
use std::cmp::Ordering;
#[derive(PartialEq, Eq)]
struct Factor { by: isize }
impl PartialOrd for Factor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> { self.by.partial_cmp(&other.by) }
}
fn twice(x: isize, y: isize) -> isize {
    assert_eq!(y as isize, y);
    x * Factor { by: 2 }.by
""",
    "ts": """
declare var require: any;
const { createHash } = require('node:crypto');
function twice(x: number, y: number): number {
  return createHash('md5') ? 2 * x : 0;
}
""",
}
"""Up to where the tests go on."""
