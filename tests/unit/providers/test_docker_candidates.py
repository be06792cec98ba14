"""Which subnets an application's network may get, and in which order they are tried."""

from ipaddress import IPv4Network

import pytest

from iarnet.providers.docker.network import candidates, prefix_for

POOL = "10.210.0.0/24"
ALL = {IPv4Network(f"10.210.0.{i}/26") for i in (0, 64, 128, 192)}


def test_each_of_the_pool_once() -> None:
    found = list(candidates(POOL, "shop", []))
    assert (len(found), set(found)) == (4, ALL)


def test_the_order_is_the_names() -> None:
    orders = {app: list(candidates(POOL, app, [])) for app in map(str, range(100))}
    assert all(order == list(candidates(POOL, app, [])) for app, order in orders.items())
    assert {order[0] for order in orders.values()} == ALL


def test_what_is_taken_is_passed_over_and_the_rest_stays_in_order() -> None:
    free = list(candidates(POOL, "shop", []))
    assert list(candidates(POOL, "shop", [free[0], free[2]])) == [free[1], free[3]]


def test_a_network_without_instances_leaves_room_for_those_with_some() -> None:
    pool = "10.210.0.0/16"
    found = [next(candidates(pool, f"{app}.{slot}", [], slot)) for app in range(100) for slot in (1, 2)]
    assert {subnet.prefixlen for subnet in found} == {30}
    assert len(set(found)) > 150, "the order is the name's and the slot's"
    assert all(subnet.subnet_of(IPv4Network("10.210.240.0/20")) for subnet in found)
    assert len(list(candidates(pool, "shop", found))) >= 1024 - 64


def test_a_network_without_instances_gets_what_is_left() -> None:
    with_instances = list(candidates(POOL, "shop", []))
    assert set(candidates(POOL, "shop", with_instances[1:], 1)) == set(with_instances[0].subnets(new_prefix=30))
    assert list(candidates(POOL, "shop", with_instances, 1)) == []
    assert len(set(candidates("10.210.0.0/26", "shop", [], 15))) == 16


@pytest.mark.parametrize("room", [0, 1, 30, 31, 61, 62, 100, 126, 127, 400])
def test_a_network_is_the_smallest_in_which_all_can_be_replaced_at_once(room: int) -> None:
    prefix = prefix_for(room)
    network = IPv4Network((0, prefix))
    assert network.num_addresses - 3 >= 2 * room
    assert prefix == 26 or (network.num_addresses // 2) - 3 < 2 * room


def test_a_large_one_among_small_ones() -> None:
    small = IPv4Network("10.210.0.64/26")
    assert list(candidates(POOL, "shop", [small], prefix=25)) == [IPv4Network("10.210.0.128/25")]
    assert list(candidates(POOL, "shop", [], prefix=23)) == [], "the pool is smaller"


def test_smaller_and_larger_subnets_take_what_they_overlap() -> None:
    smaller, larger = IPv4Network("10.210.0.4/30"), IPv4Network("10.210.0.128/25")
    assert list(candidates(POOL, "shop", [smaller, larger])) == [IPv4Network("10.210.0.64/26")]
    assert list(candidates(POOL, "shop", [IPv4Network("10.0.0.0/8")])) == []
