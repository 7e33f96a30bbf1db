; Parallel gateways by DNS: one name, an address for each gateway. SAP CRM is given http://ici.example.com:8080.
;
;   named-checkzone ici.example.com db.ici.example.com
;
; DNS does not know which gateway is Running. Whoever asks gets both addresses in turn, so this is for clients that try the
; next address when one refuses, or with a name server that takes away the addresses of those that do not answer 200 at
; /sap/wdisp/admin/publicicp/show_init_statepub.icp. Otherwise put an L4 balancer or a moving address in front.
; Before a gateway is stopped, take its address out and wait for the TTL, and for what clients keep for themselves.

$ORIGIN ici.example.com.
$TTL 5
@       3600 IN SOA  ns.example.com. hostmaster.example.com. ( 1 3600 600 86400 5 )
@       3600 IN NS   ns.example.com.
@            IN A    10.0.1.11
@            IN A    10.0.1.12
; Each by its own name, for operators and monitoring.
gateway-1    IN A    10.0.1.11
gateway-2    IN A    10.0.1.12
