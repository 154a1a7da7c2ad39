# shellcheck shell=bash
# Chooses a /16 that no route of this host touches and lays the cluster's ranges into it.

# Private ranges, then the ones set aside for carriers and for benchmarks, for hosts whose VPN claims all of 10.0.0.0/8.
address_candidates() {
  local n
  for n in {77..126}; do echo "10.$n"; done
  for n in {20..31}; do echo "172.$n"; done
  for n in {64..127}; do echo "100.$n"; done
  for n in 18 19; do echo "198.$n"; done
}

ipv4_number() {
  local a b c d
  IFS=. read -r a b c d <<<"$1"
  printf '%d' $(((a << 24) | (b << 16) | (c << 8) | d))
}

# Every IPv4 destination in any routing table as "first last" numbers; default routes lead everywhere and do not count.
occupied_ranges() {
  local destination length first
  while read -r destination; do
    length=32
    [[ $destination != */* ]] || length=${destination#*/}
    first=$(ipv4_number "${destination%/*}")
    printf '%d %d\n' "$first" $((first + (1 << (32 - length)) - 1))
  done < <(timeout 10 ip -json -4 route show table all | jq -r '.[].dst | select(. != "default" and . != "0.0.0.0/0")')
}

# Sets HOST_IP, NODE_IP, POD_CIDR, POD_GATEWAY, SERVICE_CIDR, KUBERNETES_IP, DNS_IP.
choose_addresses() {
  local base first last low high taken ranges
  ranges=$(occupied_ranges) || die "could not read this host's routes"
  while read -r base; do
    low=$(ipv4_number "$base.0.0")
    high=$((low + 65535))
    taken=''
    while read -r first last; do
      [[ -n $first ]] || continue
      if ((first <= high && last >= low)); then
        taken=1
        break
      fi
    done <<<"$ranges"
    [[ -n $taken ]] || break
  done < <(address_candidates)
  [[ -z $taken ]] || die "no free IPv4 range: this host has routes into every candidate (ip -4 route show table all)"
  HOST_IP=$base.0.1
  NODE_IP=$base.0.2
  POD_CIDR=$base.4.0/22
  POD_GATEWAY=$base.4.1
  SERVICE_CIDR=$base.16.0/20
  KUBERNETES_IP=$base.16.1
  DNS_IP=$base.16.10
}
