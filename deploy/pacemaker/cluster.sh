#!/bin/sh
# Standby gateways with one address in a Pacemaker cluster. Run it on one node, where `pcs status` shows both:
#
#   ICI_ADDRESS=10.0.1.10 ICI_NETMASK=24 sh cluster.sh
#
# The gateway runs on every node as its systemd unit (not enabled, because the cluster starts it). The address is on a
# node whose gateway is Running, and stays where it is while none is. Gateways share the bindings through Redis, so a
# failed host loses only its pending requests.
#
# Run it again to change the address: what is there is kept.
#
# On every node before that:
#   install -D -m 755 ici-gateway-state /usr/lib/ocf/resource.d/ici/state
#
# Configure fencing as the cluster needs it. This service does not need it: two nodes that both believe they hold the
# address confuse ARP, but never split an agent.
set -eu

address=${ICI_ADDRESS:?the address that SAP CRM is given, such as 10.0.1.10}
netmask=${ICI_NETMASK:-24}

# Whether the cluster has something with this id.
has() {
  pcs cluster cib | grep -q " id=\"$1\""
}

# Stopping takes up to lifecycle.shutdownTimeout (90 s); the unit allows 120 s.
has ici-gateway || pcs resource create ici-gateway systemd:ici-gateway \
  op start timeout=200s op stop timeout=130s op monitor interval=10s timeout=20s \
  meta migration-threshold=1000 failure-timeout=60s \
  clone interleave=true

# Writes the state of the gateway into the node attribute ici-gateway-running.
has ici-gateway-state || pcs resource create ici-gateway-state ocf:ici:state \
  op start timeout=10s op stop timeout=10s op monitor interval=1s timeout=5s \
  clone interleave=true

if has ici-address; then
  pcs resource update ici-address ip="$address" cidr_netmask="$netmask"
else
  pcs resource create ici-address ocf:heartbeat:IPaddr2 ip="$address" cidr_netmask="$netmask" \
    op monitor interval=5s \
    meta resource-stickiness=100
fi

# Outweighs the stickiness if another node is Running; if none is, no node is excluded.
has ici-address-where-running || pcs constraint location ici-address rule id=ici-address-where-running score=1000 \
  ici-gateway-running eq 1
