"""Databases, caches and brokers: how to see that one is needed, and what runs it.

Images are those of the projects themselves; capabilities are what their entrypoints need to hand their data folder
to an unprivileged user.
"""

from dataclasses import dataclass

from iarnet.analysis.names import words
from iarnet.models.component import ComponentKind

DROP_PRIVILEGES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")

EMBEDDED = frozenset({"h2", "hsqldb", "derby"})
"""Databases inside of a Java program, used until somebody configures another one."""


@dataclass(frozen=True)
class Service:
    """`drivers` are package names of any ecosystem; `prefixes` begin the names of settings that point to it,
    `own` those of them that no other service shares."""

    key: str
    kind: ComponentKind
    image: str
    images: tuple[str, ...]
    port: int
    scheme: str
    drivers: frozenset[str]
    prefixes: str
    own: str
    conventional: tuple[str, ...]
    volume: str | None = None
    memory_mib: int = 256
    family: str = ""
    capabilities: tuple[str, ...] = DROP_PRIVILEGES
    command: tuple[str, ...] = ()


SQL = "DATABASE|DB|SQLALCHEMY_DATABASE|SQLALCHEMY|SPRING_DATASOURCE|DATASOURCE|JDBC_DATABASE|SQL"

SERVICES = (
    Service(
        key="postgres",
        kind="database",
        image="postgres:15",
        images=("postgres", "postgis", "pgvector", "timescaledb", "timescaledb-ha", "postgresql"),
        port=5432,
        scheme="postgresql",
        drivers=words(
            "psycopg2 psycopg2-binary psycopg psycopg-binary psycopg-c asyncpg pg8000 aiopg pg pg-promise postgres "
            "pg-native slonik @vercel/postgres github.com/lib/pq github.com/jackc/pgx gorm.io/driver/postgres "
            "github.com/go-pg/pg org.postgresql:postgresql postgresql r2dbc-postgresql quarkus-jdbc-postgresql "
            "tokio-postgres npgsql npgsql.entityframeworkcore.postgresql marten postgrex ext-pgsql ext-pdo_pgsql"
        ),
        prefixes=f"POSTGRES|POSTGRESQL|PG|{SQL}",
        own="POSTGRES|POSTGRESQL|PG",
        conventional=("DATABASE_URL",),
        volume="/var/lib/postgresql/data",
        family="sql",
    ),
    Service(
        key="mysql",
        kind="database",
        image="mysql:8",
        images=("mysql", "mariadb", "percona", "mysql-server"),
        port=3306,
        scheme="mysql",
        drivers=words(
            "mysql mysql2 mysqlclient pymysql aiomysql asyncmy mysql-connector-python mariadb "
            "github.com/go-sql-driver/mysql gorm.io/driver/mysql mysql-connector-java mysql-connector-j "
            "mariadb-java-client quarkus-jdbc-mysql mysql-connector mysql.data mysqlconnector mysql_async myxql "
            "pomelo.entityframeworkcore.mysql mysql.entityframeworkcore ext-mysqli ext-pdo_mysql trilogy"
        ),
        prefixes=f"MYSQL|MARIADB|{SQL}",
        own="MYSQL|MARIADB",
        conventional=("DATABASE_URL",),
        volume="/var/lib/mysql",
        memory_mib=768,
        family="sql",
    ),
    Service(
        key="redis",
        kind="cache",
        image="redis:7",
        images=("redis", "valkey", "redis-stack", "redis-stack-server", "redismod", "keydb", "dragonfly"),
        port=6379,
        scheme="redis",
        drivers=words(
            "redis ioredis hiredis aioredis connect-redis django-redis rq bull bullmq bee-queue flask-redis arq "
            "@redis/client github.com/redis/go-redis github.com/go-redis/redis github.com/gomodule/redigo "
            "github.com/hibiken/asynq spring-boot-starter-data-redis spring-boot-starter-data-redis-reactive jedis "
            "lettuce-core redisson quarkus-redis-client valkey iovalkey sidekiq celery[redis] fastapi-cache2[redis] "
            "stackexchange.redis microsoft.extensions.caching.stackexchangeredis predis/predis ext-redis "
            "redix exq laravel/horizon resque deadpool-redis stackexchange.redis.distributedcaching "
            "stackexchange.redis.outputcaching"
        ),
        prefixes="REDIS|REDISCLOUD|VALKEY|CACHE|CELERY_BROKER|CELERY_RESULT|BROKER|SPRING_DATA_REDIS|SPRING_REDIS",
        own="REDIS|REDISCLOUD|VALKEY|SPRING_DATA_REDIS|SPRING_REDIS",
        conventional=("REDIS_URL",),
        memory_mib=128,
    ),
    Service(
        key="rabbitmq",
        kind="queue",
        image="rabbitmq:3",
        images=("rabbitmq",),
        port=5672,
        scheme="amqp",
        drivers=words(
            "pika aio-pika amqplib amqp-connection-manager github.com/rabbitmq/amqp091-go github.com/streadway/amqp "
            "spring-boot-starter-amqp spring-rabbit amqp-client bunny celery[rabbitmq] lapin rabbitmq.client "
            "masstransit.rabbitmq php-amqplib/php-amqplib ext-amqp broadway_rabbitmq sneakers "
            "spring-cloud-starter-bus-amqp spring-cloud-starter-stream-rabbit spring-cloud-stream-binder-rabbit rhea "
            "rabbitmq-amqp-js-client github.com/azure/go-amqp"
        ),
        prefixes="AMQP|RABBITMQ_DEFAULT|RABBITMQ|RABBIT|CLOUDAMQP|BROKER|CELERY_BROKER|SPRING_RABBITMQ",
        own="AMQP|RABBITMQ_DEFAULT|RABBITMQ|RABBIT|CLOUDAMQP|SPRING_RABBITMQ",
        conventional=("AMQP_URL", "RABBITMQ_URL"),
        volume="/var/lib/rabbitmq",
        memory_mib=512,
    ),
    Service(
        key="mongo",
        kind="database",
        image="mongo:7",
        images=("mongo", "mongodb", "mongodb-community-server"),
        port=27017,
        scheme="mongodb",
        drivers=words(
            "pymongo motor mongoengine beanie mongodb mongoose go.mongodb.org/mongo-driver mongodb-driver-sync "
            "spring-boot-starter-data-mongodb spring-boot-starter-data-mongodb-reactive quarkus-mongodb-client "
            "micronaut-mongo-reactive micronaut-mongo-sync "
            "mongodb.driver mongodb/mongodb mongodb/laravel-mongodb ext-mongodb mongoid mongo mongodb_driver"
        ),
        prefixes="MONGO|MONGODB|SPRING_DATA_MONGODB",
        own="MONGO|MONGODB|SPRING_DATA_MONGODB",
        conventional=("MONGODB_URI", "MONGO_URL"),
        volume="/data/db",
        memory_mib=512,
    ),
    Service(
        key="nats",
        kind="queue",
        image="nats:2",
        images=("nats",),
        port=4222,
        scheme="nats",
        drivers=words("nats-py nats github.com/nats-io/nats.go jnats"),
        prefixes="NATS",
        own="NATS",
        conventional=("NATS_URL",),
        memory_mib=64,
        capabilities=(),
    ),
    Service(
        key="memcached",
        kind="cache",
        image="memcached:1",
        images=("memcached",),
        port=11211,
        scheme="memcached",
        drivers=words(
            "pymemcache python-memcached pylibmc memjs memcached github.com/bradfitz/gomemcache dalli "
            "enyimmemcachedcore ext-memcached"
        ),
        prefixes="MEMCACHED|MEMCACHE|MEMCACHIER",
        own="MEMCACHED|MEMCACHE|MEMCACHIER",
        conventional=("MEMCACHED_URL", "MEMCACHE_SERVERS"),
        memory_mib=128,
        capabilities=(),
    ),
    Service(
        key="mssql",
        kind="database",
        image="mcr.microsoft.com/mssql/server:2022-latest",
        images=("mssql", "mssql/server", "mssql-server", "mssql-server-linux", "azure-sql-edge"),
        port=1433,
        scheme="sqlserver",
        drivers=words(
            "mssql tedious pymssql mssql-django mssql-jdbc spring-boot-starter-jdbc-mssql quarkus-jdbc-mssql "
            "r2dbc-mssql microsoft.data.sqlclient system.data.sqlclient microsoft.entityframeworkcore.sqlserver "
            "github.com/microsoft/go-mssqldb github.com/denisenkom/go-mssqldb gorm.io/driver/sqlserver tiberius "
            "tiny_tds activerecord-sqlserver-adapter ext-sqlsrv ext-pdo_sqlsrv tds"
        ),
        prefixes=f"MSSQL|SQLSERVER|{SQL}",
        own="MSSQL|SQLSERVER",
        conventional=("DATABASE_URL",),
        volume="/var/opt/mssql",
        memory_mib=2048,
        family="sql",
        capabilities=(),
    ),
    Service(
        key="kafka",
        kind="queue",
        image="apache/kafka:3.9.1",
        images=("kafka", "cp-kafka", "kafka-native", "redpanda"),
        port=9092,
        scheme="kafka",
        drivers=words(
            "kafkajs node-rdkafka kafka-node @confluentinc/kafka-javascript kafka-python kafka-python-ng aiokafka "
            "confluent-kafka faust faust-streaming github.com/segmentio/kafka-go github.com/ibm/sarama "
            "github.com/shopify/sarama github.com/confluentinc/confluent-kafka-go github.com/twmb/franz-go "
            "spring-kafka kafka-clients kafka-streams spring-cloud-starter-stream-kafka "
            "spring-cloud-stream-binder-kafka quarkus-kafka-client quarkus-messaging-kafka "
            "quarkus-smallrye-reactive-messaging-kafka confluent.kafka masstransit.kafka rdkafka ext-rdkafka "
            "ruby-kafka karafka racecar brod kaffe broadway_kafka"
        ),
        prefixes="KAFKA|SPRING_KAFKA",
        own="KAFKA|SPRING_KAFKA",
        conventional=("KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"),
        memory_mib=1024,
        capabilities=(),
    ),
    Service(
        key="elasticsearch",
        kind="database",
        image="elasticsearch:8.17.4",
        images=("elasticsearch",),
        port=9200,
        scheme="http",
        drivers=words(
            "elasticsearch elasticsearch-dsl elasticsearch7 elasticsearch8 django-elasticsearch-dsl "
            "@elastic/elasticsearch @nestjs/elasticsearch github.com/elastic/go-elasticsearch "
            "github.com/olivere/elastic spring-boot-starter-data-elasticsearch elasticsearch-java "
            "elasticsearch-rest-client elasticsearch-rest-high-level-client quarkus-elasticsearch-rest-client "
            "quarkus-elasticsearch-java-client elastic.clients.elasticsearch nest elasticsearch/elasticsearch "
            "elasticsearch-rails elasticsearch-model chewy"
        ),
        prefixes="ELASTICSEARCH|ELASTIC|ES|SPRING_ELASTICSEARCH",
        own="ELASTICSEARCH|SPRING_ELASTICSEARCH",
        conventional=("ELASTICSEARCH_URL",),
        volume="/usr/share/elasticsearch/data",
        memory_mib=1536,
        capabilities=(),
    ),
    Service(
        key="opensearch",
        kind="database",
        image="opensearchproject/opensearch:2",
        images=("opensearch",),
        port=9200,
        scheme="http",
        drivers=words(
            "opensearch-py opensearch-dsl @opensearch-project/opensearch opensearch-java opensearch-rest-client "
            "github.com/opensearch-project/opensearch-go opensearch.client opensearch-project/opensearch-php "
            "opensearch-ruby opensearch"
        ),
        prefixes="OPENSEARCH",
        own="OPENSEARCH",
        conventional=("OPENSEARCH_URL",),
        volume="/usr/share/opensearch/data",
        memory_mib=1536,
        capabilities=(),
    ),
    Service(
        key="minio",
        kind="database",
        image="minio/minio:latest",
        images=("minio",),
        port=9000,
        scheme="http",
        drivers=words("minio github.com/minio/minio-go nestjs-minio-client quarkus-minio django-minio-storage"),
        prefixes="MINIO|S3",
        own="MINIO",
        conventional=("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
        volume="/data",
        capabilities=(),
        command=("server", "/data"),
    ),
)
